// The picture that is asked with. A rectangle drawn on it asks for that part only.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Icon } from "../parts/Icon";
import { useDrawable } from "../parts/pictures";
import { fileName } from "../state/names";

interface Props {
  example: string;
  /** x, y, width, height in the picture's pixels; empty for all of it. */
  region: readonly number[];
  onChoose: (region: readonly number[]) => void;
  children: ComponentChildren;
}

/** Shares of the picture's sides: left, top, right, bottom. */
type Box = readonly [number, number, number, number];
const LEAST = 0.03;
/** Width ÷ height from which a picture is a strip. */
const STRIP = 8;

export function RegionPicker({ example, region, onChoose, children }: Props) {
  const drawn = useDrawable(example, 1024);
  const stage = useRef<HTMLDivElement>(null);
  const drawing = useSignal<Box | null>(null);
  if (!drawn || drawn instanceof Error) {
    return (
      <div class="query-picture">
        <div class="query-stage is-empty" />
        <div class="query-caption">
          <span>{drawn?.message ?? ""}</span>
          {children}
        </div>
      </div>
    );
  }

  const { width, height, picture } = drawn;
  const place = (event: PointerEvent): [number, number] => {
    const box = stage.current?.getBoundingClientRect();
    if (!box) return [0, 0];
    const share = (value: number) => Math.min(Math.max(value, 0), 1);
    return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
  };
  const begin = (event: PointerEvent) => {
    if (event.button !== 0 || !width) return;
    stage.current?.setPointerCapture(event.pointerId);
    const [x, y] = place(event);
    drawing.value = [x, y, x, y];
  };
  const draw = (event: PointerEvent) => {
    const from = drawing.peek();
    if (from) drawing.value = [from[0], from[1], ...place(event)];
  };
  const end = () => {
    const box = drawing.peek();
    drawing.value = null;
    if (!box) return;
    const [left, top, right, bottom] = ordered(box);
    if (right - left < LEAST || bottom - top < LEAST) return;
    onChoose([left * width, top * height, (right - left) * width, (bottom - top) * height].map(Math.round));
  };
  const [x = 0, y = 0, wide = 0, high = 0] = region;
  const shown = drawing.value ? ordered(drawing.value) : region.length && width ? ([x / width, y / height, (x + wide) / width, (y + high) / height] as const) : null;
  const name = picture ? fileName(picture.uri) : "Your picture";
  return (
    <div class={`query-picture${width > STRIP * height ? " is-strip" : ""}`}>
      <div ref={stage} class="query-stage" style={width ? { aspectRatio: `${width} / ${height}`, "--ratio": String(width / height) } : {}} onPointerDown={begin} onPointerMove={draw} onPointerUp={end} onPointerCancel={() => (drawing.value = null)}>
        <img src={drawn.url} alt={`Looked for: ${name}`} draggable={false} />
        {shown && <div class="region" style={{ left: share(shown[0]), top: share(shown[1]), width: share(shown[2] - shown[0]), height: share(shown[3] - shown[1]) }} />}
      </div>
      <div class="query-caption">
        <strong>
          <bdi>{name}</bdi>
        </strong>
        {region.length ? (
          <button type="button" class="quiet" onClick={() => onChoose([])}>
            <Icon name="crop" /> Whole picture
          </button>
        ) : (
          <span class="hint">
            <Icon name="crop" /> Draw on it to ask for a part
          </span>
        )}
        {children}
      </div>
    </div>
  );
}

function ordered([x, y, right, bottom]: Box): Box {
  return [Math.min(x, right), Math.min(y, bottom), Math.max(x, right), Math.max(y, bottom)];
}

function share(value: number): string {
  return `${(value * 100).toFixed(3)}%`;
}
