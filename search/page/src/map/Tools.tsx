// What there is to do with the map: its colours, drawing around pictures, near and far.
import type { Signal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { Icon } from "../parts/Icon";
import { go } from "../state/address";
import { fieldLabel } from "../state/names";
import type { Tool } from "./gestures";
import type { MapView } from "./view";

interface Props {
  view: MapView;
  tool: Signal<Tool>;
  fields: readonly string[];
  field: string;
}

const TOOLS: readonly (readonly [Tool, string])[] = [
  ["move", "Move the map"],
  ["rectangle", "Choose with a rectangle (r)"],
  ["lasso", "Choose by drawing around (l)"],
];

export function Tools({ view, tool, fields, field }: Props) {
  const pictures = useSignal(view.withPictures);
  return (
    <div class="map-tools">
      <label>
        <span class="hidden">Colour by</span>
        <select value={field} title="Colour by" onChange={(event) => go({ colour: event.currentTarget.value }, true)}>
          {fields.map((one) => (
            <option key={one} value={one}>
              {fieldLabel(one)}
            </option>
          ))}
        </select>
      </label>
      <div class="map-group" role="group" aria-label="What dragging does">
        {TOOLS.map(([name, label]) => (
          <button type="button" key={name} class="icon-button" aria-label={label} title={label} aria-pressed={tool.value === name} onClick={() => (tool.value = name)}>
            <Icon name={name} />
          </button>
        ))}
      </div>
      <div class="map-group">
        <button
          type="button"
          class="icon-button"
          aria-label="Pictures in place of points"
          title="Pictures in place of points"
          aria-pressed={pictures.value}
          onClick={() => {
            view.withPictures = pictures.value = !pictures.value;
            view.invalidate();
          }}
        >
          <Icon name="picture" />
        </button>
        <button type="button" class="icon-button" aria-label="Nearer" title="Nearer (+)" onClick={() => view.flyBy(1.8)}>
          <Icon name="plus" />
        </button>
        <button type="button" class="icon-button" aria-label="Farther" title="Farther (−)" onClick={() => view.flyBy(1 / 1.8)}>
          <Icon name="minus" />
        </button>
        <button type="button" class="icon-button" aria-label="The whole map" title="The whole map (0)" onClick={() => view.flyHome()}>
          <Icon name="whole" />
        </button>
      </div>
    </div>
  );
}
