// All results in justified rows, of which only those on the screen and a little around it are there.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Shown } from "../api/models";
import { go, searching, state } from "../state/address";
import { likeness } from "../state/names";
import { loadMore, more, results, scrollTo } from "../state/results";
import { toggle } from "../state/selection";
import { beside, justify, rowsWithin } from "./justify";
import { ratioOf } from "./Thumbnail";
import { TileView } from "./Tile";

const AROUND = 700;
const FRAMES = 20;

export function Grid() {
  const box = useRef<HTMLUListElement>(null);
  const view = useSignal({ width: 0, top: 0, height: 0 });
  const active = useSignal(0);
  const focusing = useRef(false);

  const layout = useComputed(() => {
    const { width } = view.value;
    if (!width) return { rows: [], height: 0 };
    const pictures = results.value;
    const parts = searching.value && state.value.diversity === 0;
    return justify(
      pictures.map(ratioOf),
      pictures.map((one) => (parts ? likeness(one) : "")),
      { width, rowHeight: width < 500 ? 132 : width < 1000 ? 168 : width < 1800 ? 208 : 248, gap: width < 500 ? 3 : 6, headingHeight: 40 },
    );
  });

  useLayoutEffect(() => {
    const list = box.current;
    if (!list) return;
    let frame = 0;
    const measure = () => {
      frame = 0;
      const place = list.getBoundingClientRect();
      const next = { width: Math.floor(place.width), top: -place.top, height: window.innerHeight };
      const old = view.peek();
      if (next.width !== old.width || next.height !== old.height || next.top !== old.top) view.value = next;
    };
    const soon = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    const watching = new ResizeObserver(soon);
    watching.observe(list);
    watching.observe(document.body);
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      watching.disconnect();
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, []);

  useSignalEffect(() => {
    const { top, height } = view.value;
    if (more.value && top + height + 2 * AROUND > layout.value.height) void loadMore();
  });

  // Another question begins at its top, or where it was left.
  useSignalEffect(() => {
    const wanted = scrollTo.value;
    const laidOut = layout.value.rows.length > 0 || results.value.length === 0;
    if (wanted < 0 || !laidOut) return;
    scrollTo.value = -1;
    active.value = 0;
    requestAnimationFrame(() => window.scrollTo({ top: wanted }));
  });

  const focus = (index: number) => {
    const row = layout.peek().rows.find((one) => one.tiles.some((tile) => tile.index === index));
    const list = box.current;
    if (!row || !list) return;
    active.value = index;
    focusing.current = true;
    const above = list.getBoundingClientRect().top + row.top - 120;
    const below = list.getBoundingClientRect().top + row.top + row.height + 80 - window.innerHeight;
    if (above < 0) window.scrollBy({ top: above });
    else if (below > 0) window.scrollBy({ top: below });
    focusSoon(list, index, FRAMES);
  };

  const keys = (event: KeyboardEvent) => {
    const count = results.peek().length;
    const now = active.peek();
    const picture = results.peek()[now];
    if (event.ctrlKey || event.metaKey || event.altKey || !picture) return;
    const moves: Record<string, () => number> = {
      ArrowRight: () => Math.min(now + 1, count - 1),
      ArrowLeft: () => Math.max(now - 1, 0),
      ArrowDown: () => beside(layout.peek(), now, 1),
      ArrowUp: () => beside(layout.peek(), now, -1),
      Home: () => 0,
      End: () => count - 1,
    };
    const move = moves[event.key];
    if (move) focus(move());
    else if (event.key === "x") toggle(picture, event.shiftKey);
    else if (event.key === "s") go({ like: [picture.id], unlike: [], region: [], open: "" });
    else return;
    event.preventDefault();
  };

  // The viewer's picture is where the keyboard goes on.
  useEffect(() => {
    const end = (event: Event) => {
      if (!focusing.current) return;
      const place = results.peek().findIndex((one) => one.id === (event as CustomEvent<string>).detail);
      focus(place >= 0 ? place : active.peek());
    };
    addEventListener("viewer-closed", end);
    return () => removeEventListener("viewer-closed", end);
  }, []);

  const { rows, height } = layout.value;
  const { top } = view.value;
  const [first, end] = rowsWithin(rows, top - AROUND, top + view.value.height + AROUND);
  const pictures = results.value;
  const shown = rows.slice(first, end);
  return (
    <ul class="grid" ref={box} tabIndex={-1} style={{ height: `${height}px` }} onKeyDown={keys} aria-label="Pictures">
      {shown.flatMap((row) => [
        row.heading && (
          <li key={`h${row.heading}`} class="grid-heading" style={{ top: `${row.top - 34}px` }}>
            <h2>{row.heading}</h2>
          </li>
        ),
        ...row.tiles.map((tile) => {
          const picture = pictures[tile.index] as Shown | undefined;
          return picture && <TileView key={picture.id} picture={picture} index={tile.index} left={tile.left} top={row.top} width={tile.width} height={row.height} reachable={tile.index === active.value} onFocus={() => (active.value = tile.index)} />;
        }),
      ])}
    </ul>
  );
}

/** The picture may be laid out only in a frame or two, when its row has come onto the screen: till then the list hears the keys. */
function focusSoon(list: HTMLElement, index: number, frames: number): void {
  const link = list.querySelector<HTMLElement>(`[data-index="${index}"] a`);
  (link ?? list).focus({ preventScroll: true });
  if (!link && frames > 0) requestAnimationFrame(() => focusSoon(list, index, frames - 1));
}
