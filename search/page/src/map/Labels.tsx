// The names of clusters, or of other values, over where most of their pictures lie; never one over another.
import type { Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { chooseValue } from "./choosing";
import type { Colours } from "./columns";
import { Dot } from "./Legend";
import type { Rgb } from "./palette";
import type { MapView } from "./view";

interface Props {
  view: MapView;
  palette: readonly Rgb[];
  colours: Colours;
  frames: Signal<number>;
}

const GAP = 6;

export function Labels({ view, palette, colours, frames }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const named = useMemo(() => colours.legend.map((one, place) => ({ ...one, place })).sort((one, other) => other.count - one.count), [colours]);
  // Moved by hand: a name more or less in each frame is nothing to compare trees for.
  useEffect(() => {
    const place = () => {
      const taken: [number, number, number, number][] = [];
      [...(list.current?.children ?? [])].forEach((item, number) => {
        const one = named[number];
        if (!(item instanceof HTMLElement) || !one) return;
        const [left, top] = view.placeAt(one.x, one.y);
        const [wide, high] = measured(item);
        const box: [number, number, number, number] = [left - wide / 2 - GAP, top - high / 2 - GAP, left + wide / 2 + GAP, top + high / 2 + GAP];
        const inside = box[0] > 0 && box[1] > 52 && box[2] < view.size.width && box[3] < view.size.height - 8;
        const free = inside && !taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1]);
        if (free) taken.push(box);
        item.style.transform = `translate(${(left - wide / 2).toFixed(1)}px, ${(top - high / 2).toFixed(1)}px)`;
        item.classList.toggle("is-hidden", !free);
      });
    };
    return frames.subscribe(place);
  }, [view, colours]);
  return (
    <ul class="map-names" ref={list} aria-label="Names on the map">
      {named.map((one) => (
        <li key={String(one.value)} class="is-hidden">
          <button type="button" class="map-name" tabIndex={-1} title={`Only ${one.label}`} onClick={() => chooseValue(colours.field, one.value)}>
            <Dot colour={palette[one.place]} />
            <bdi>{one.label}</bdi>
          </button>
        </li>
      ))}
    </ul>
  );
}

const sizes = new WeakMap<HTMLElement, [number, number]>();

function measured(item: HTMLElement): [number, number] {
  let size = sizes.get(item);
  if (!size) sizes.set(item, (size = [item.offsetWidth, item.offsetHeight]));
  return size;
}
