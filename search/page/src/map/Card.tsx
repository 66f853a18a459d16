// The picture under the pointer; a click or a tap holds it, with what to do next.
import { useEffect } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { Picture } from "../api/models";
import { Thumbnail, ratioOf } from "../grid/Thumbnail";
import { Icon } from "../parts/Icon";
import { go } from "../state/address";
import { fieldLabel, fileName, shownValue } from "../state/names";
import { type Colours, NONE, OTHER } from "./columns";
import type { MapView } from "./view";

interface Props {
  view: MapView;
  colours: Colours | null;
  row: number;
  left: number;
  top: number;
  fixed: boolean;
  onClose: () => void;
}

const WIDTH = 232;
const AWAY = 18;

export function Card({ view, colours, row, left, top, fixed, onClose }: Props) {
  const picture = useSignal<Picture | null>(null);
  useEffect(() => {
    let gone = false;
    picture.value = null;
    view.picture(row).then((found) => !gone && (picture.value = found), () => undefined);
    return () => (gone = true);
  }, [row]);
  const shown = picture.value;
  if (!shown) return null;
  const ratio = ratioOf(shown);
  const high = Math.min(WIDTH / ratio, 220);
  const wide = Math.min(high * ratio, WIDTH);
  const whole = high + (fixed ? 106 : 62);
  const { width, height } = view.size;
  const x = left + AWAY + WIDTH < width ? left + AWAY : Math.max(8, left - AWAY - WIDTH);
  const y = Math.min(Math.max(8, top - whole / 2), Math.max(8, height - whole - 8));
  const place = view.colourOf(row);
  const value = colours?.kind === "categories" ? (place === NONE ? "" : place === OTHER ? "another value" : (colours.legend[place]?.label ?? "")) : shownValue(field(shown, colours?.field ?? ""), colours?.field);
  const name = fileName(shown.uri);
  return (
    <aside class={`map-card${fixed ? " is-fixed" : ""}`} aria-label={name} style={{ transform: `translate(${x}px, ${y}px)`, width: `${WIDTH}px` }}>
      <div class="map-card-picture" style={{ height: `${high}px` }}>
        <div style={{ width: `${wide}px`, height: `${high}px` }}>
          <Thumbnail picture={shown} size={Math.max(wide, high)} alt={name} late={false} />
        </div>
      </div>
      <bdi class="map-card-name">{name}</bdi>
      {colours && value && (
        <span class="hint">
          {fieldLabel(colours.field)}: <bdi>{value}</bdi>
        </span>
      )}
      {fixed && (
        <div class="map-card-acts">
          <button type="button" onClick={() => go({ open: shown.id })}>
            <Icon name="info" /> Open
          </button>
          <button
            type="button"
            onClick={() => {
              onClose();
              go({ like: [shown.id], unlike: [], region: [], lasso: [] });
            }}
          >
            <Icon name="similar" /> Similar
          </button>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </div>
      )}
    </aside>
  );
}

function field(picture: Picture, name: string): unknown {
  return name.startsWith("_") ? picture.facts[name] : picture.metadata[name];
}
