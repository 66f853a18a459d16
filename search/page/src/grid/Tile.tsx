// One picture of the grid: a link to it in the viewer, with two buttons: mark it, and find what looks like it.
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Shown } from "../api/models";
import { go, href, searching, state } from "../state/address";
import { brief, fileName, likeness, score } from "../state/names";
import { isSelected, selecting, toggle } from "../state/selection";
import { Icon } from "../parts/Icon";
import { Thumbnail } from "./Thumbnail";

interface Props {
  picture: Shown;
  index: number;
  left: number;
  top: number;
  width: number;
  height: number;
  /** Whether the Tab key leads here; arrows lead to the others. */
  reachable: boolean;
  onFocus: () => void;
}

export function TileView({ picture, index, left, top, width, height, reachable, onFocus }: Props) {
  const name = fileName(picture.uri);
  const marked = isSelected(picture.id);
  // Where the best come first, headings say the word; where they vary, each picture does.
  const varied = searching.value && state.value.diversity > 0;
  const word = searching.value ? likeness(picture) : "";
  const number = searching.value ? score(picture) : "";
  const beside = varied ? fitting(word, number, width) : "";
  const lit = useSignal(false);
  const fields = lit.value ? brief(picture) : [];
  const said = [number, word].filter(Boolean).join(", ");
  const order = reachable ? 0 : -1;
  const press = useMemo(() => pressing(() => toggle(picture)), [picture]);
  return (
    <li
      class={`tile${marked ? " is-marked" : ""}${selecting.value ? " is-choosing" : ""}`}
      data-index={index}
      style={{ transform: `translate(${left}px, ${top}px)`, width: `${width}px`, height: `${height}px` }}
      onFocusCapture={(event) => {
        onFocus();
        lit.value = event.target instanceof Element && event.target.matches(":focus-visible");
      }}
      onBlurCapture={() => (lit.value = false)}
      onPointerEnter={(event) => (lit.value = event.pointerType !== "touch")}
      onPointerLeave={() => (lit.value = false)}
      {...press}
    >
      <a
        href={href({ ...state.value, open: picture.id })}
        tabIndex={order}
        aria-label={said ? `${name} ${said}` : name}
        onClick={(event) => {
          if (event.ctrlKey || event.metaKey) return;
          event.preventDefault();
          if (selecting.peek() || event.shiftKey) toggle(picture, event.shiftKey);
          else go({ open: picture.id });
        }}
      >
        <Thumbnail picture={picture} size={Math.max(width, height)} alt="" />
      </a>
      <span class="tile-about" aria-hidden="true">
        {fields.map(([label, value]) => (
          <span key={label} class="tile-field">
            {label} <bdi>{value}</bdi>
          </span>
        ))}
        <span class="tile-line">
          <span class="tile-name">
            <bdi>{name}</bdi>{" "}
          </span>
          {number && (
            <span class="tile-score">
              {beside && <span>{beside}</span>} {number}
            </span>
          )}
        </span>
      </span>
      <button type="button" class="tile-mark" tabIndex={order} aria-pressed={marked} aria-label={`Select ${name}`} onClick={(event) => toggle(picture, event.shiftKey)}>
        <Icon name="check" />
      </button>
      <button type="button" class="tile-similar" tabIndex={order} aria-label={`Find pictures like ${name}`} title="Find pictures like this one" onClick={() => go({ like: [picture.id], unlike: [], region: [], open: "", view: "pictures" })}>
        <Icon name="similar" />
      </button>
    </li>
  );
}

/** Pixels that a tile and the dark ground of its score need beside the text. */
const EDGES = 22;
const pen = document.createElement("canvas").getContext("2d");

/** As much of the word as a tile has room for: "Faintly alike" or "Faintly" beside the number, "Faintly" above it, or nothing. */
function fitting(word: string, number: string, width: number): string {
  const room = width - EDGES;
  const brief = word.replace(/ alike$/, "");
  const beside = room - long(` ${number}`, 600);
  if (long(word, 400) <= beside) return word;
  return long(brief, 400) <= room ? brief : "";
}

function long(text: string, weight: number): number {
  if (!pen) return Infinity;
  pen.font = `${weight} 12px ${getComputedStyle(document.body).fontFamily}`;
  return pen.measureText(text).width;
}

const LONG = 450;

/** A long press of a finger, which is not a tap then. */
function pressing(act: () => void) {
  let timer = 0;
  let pressed = false;
  const stop = () => clearTimeout(timer);
  return {
    onPointerDown: (event: PointerEvent) => {
      pressed = false;
      if (event.pointerType !== "touch") return;
      timer = window.setTimeout(() => {
        pressed = true;
        navigator.vibrate?.(10);
        act();
      }, LONG);
    },
    onPointerUp: stop,
    onPointerCancel: stop,
    onPointerMove: (event: PointerEvent) => Math.hypot(event.movementX, event.movementY) > 6 && stop(),
    onContextMenu: (event: Event) => pressed && event.preventDefault(),
    onClickCapture: (event: Event) => {
      if (!pressed) return;
      pressed = false;
      event.preventDefault();
      event.stopPropagation();
    },
  };
}
