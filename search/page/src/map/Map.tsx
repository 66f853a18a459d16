// The map: every picture a point, pictures in their place as one comes nearer, and what one does with them.
import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { isAborted, messageOf, post, revision, ServiceProblem } from "../api/call";
import { clearFilters } from "../filters/Filters";
import { type Place, filtered, go, searching, state } from "../state/address";
import { say } from "../state/notices";
import { results } from "../state/results";
import { collection } from "../state/service";
import { whereOf } from "../state/where";
import { Card } from "./Card";
import { homeOf, toMap } from "./camera";
import { type Colours, type Points, readColours, readMask, readPoints } from "./columns";
import { type Tool, key, listen } from "./gestures";
import { Labels } from "./Labels";
import { Legend } from "./Legend";
import { NoneYet, useMapFacts } from "./making";
import { paletteOf } from "./palette";
import { Selection } from "./Selection";
import { Tools } from "./Tools";
import { MapView } from "./view";
import "./map.css";

const AGAIN = 1500;
const SLOW = "Drawn without WebGL, which this browser does not offer: slower, and at most 60,000 points.";

export function Map() {
  const again = useSignal(0);
  const { facts, error } = useMapFacts(JSON.stringify([collection.value, revision.value, again.value]));
  if (error) return <p class="empty is-problem" role="alert">{error}</p>;
  if (!facts) return <p class="empty">…</p>;
  if (facts.map_version === null) return <NoneYet kind="map" facts={facts} onBegun={() => (again.value += 1)} />;
  const usual = facts.fields.includes("_cluster") ? "_cluster" : (facts.fields[0] ?? "");
  return <Drawn key={collection.value} fields={facts.fields} field={facts.fields.includes(state.value.colour) ? state.value.colour : usual} version={facts.map_version} clusters={facts.clusters_version ?? 0} />;
}

interface DrawnProps {
  fields: readonly string[];
  field: string;
  version: number;
  clusters: number;
}

function Drawn({ fields, field, version, clusters }: DrawnProps) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useSignal<MapView | null>(null);
  const points = useSignal<Points | null>(null);
  const colours = useSignal<Colours | null>(null);
  const tool = useSignal<Tool>("move");
  const line = useSignal<readonly (readonly [number, number])[] | null>(null);
  const hovered = useSignal({ row: -1, left: 0, top: 0, fixed: false });
  const frames = useSignal(0);
  const busy = useSignal(true);
  const chosen = useSignal<number | null>(null);
  const dark = useDark();

  useLayoutEffect(() => {
    const place = box.current;
    const drawn = canvas.current;
    if (!place || !drawn) return;
    const made = new MapView(drawn, matchMedia("(prefers-reduced-motion: reduce)").matches);
    view.value = made;
    made.onFrame = () => (frames.value += 1);
    made.onRest = () => remember(made);
    const measure = () => made.resize(place.clientWidth, place.clientHeight);
    const watching = new ResizeObserver(measure);
    watching.observe(place);
    measure();
    recall(made, state.peek().at);
    const pointed = (left: number, top: number) => {
      const row = made.at(left, top);
      made.hover(row);
      place.style.cursor = tool.peek() !== "move" ? "crosshair" : row >= 0 ? "pointer" : "";
      if (!hovered.peek().fixed) hovered.value = { row, left, top, fixed: false };
    };
    const silent = listen(place, made, {
      tool: () => tool.peek(),
      onLine: (drawing) => (line.value = drawing),
      onDrawn: (drawing) => {
        choose(made, points.peek(), drawing);
        tool.value = "move";
      },
      onHover: pointed,
      onLeave: () => {
        made.hover(-1);
        hovered.value = { row: -1, left: 0, top: 0, fixed: false };
      },
      onTap: (left, top) => {
        const row = made.at(left, top);
        made.hover(row);
        hovered.value = { row, left, top, fixed: row >= 0 };
      },
    });
    return () => {
      silent();
      watching.disconnect();
      made.dispose();
      view.value = null;
    };
  }, []);

  // Going back in the history moves the map, too.
  useSignalEffect(() => {
    const { at } = state.value;
    if (view.value && at.join() !== shownAt(view.value).join() && !view.value.moves) recall(view.value, at);
  });

  useEffect(() => {
    const asking = new AbortController();
    let timer = 0;
    const load = async () => {
      try {
        const read = await readPoints(asking.signal);
        if (points.peek()?.version !== read.version) {
          view.peek()?.setPoints(read);
          points.value = read;
        }
        busy.value = false;
      } catch (thrown) {
        if (isAborted(thrown)) return;
        if (thrown instanceof ServiceProblem && thrown.problem.code === "map-not-ready") timer = window.setTimeout(() => void load(), AGAIN);
        else say(messageOf(thrown));
      }
    };
    void load();
    return () => {
      asking.abort();
      clearTimeout(timer);
    };
  }, [version, revision.value]);

  const pointsVersion = points.value?.version ?? "";
  useEffect(() => {
    if (!pointsVersion || !field) return;
    const asking = new AbortController();
    readColours(field, pointsVersion, asking.signal).then(
      (read) => (colours.value = read),
      (thrown: unknown) => !isAborted(thrown) && say(messageOf(thrown)),
    );
    return () => asking.abort();
  }, [field, pointsVersion, clusters]);
  const palette = useMemo(() => paletteOf(colours.value, dark), [colours.value, dark]);
  useEffect(() => view.peek()?.setColours(colours.value, palette), [colours.value, palette, pointsVersion]);

  // What was found or filtered is shown strongly.
  const where = whereOf(state.value);
  const hits = searching.value ? results.value : null;
  const found = hits === null ? "" : hits.map((one) => one.id).join();
  useEffect(() => {
    const shown = view.peek();
    const read = points.peek();
    if (!shown || !read) return;
    const asking = new AbortController();
    const focus = async () => {
      let rows: number[] | null = null;
      if (hits !== null) {
        const told = await post("/v1/map/rows", { version: read.version, ids: hits.map((one) => one.id), collection: collection.peek() }, asking.signal);
        rows = told.rows.filter((row) => row >= 0);
      } else if (where !== null) rows = await readMask(where, read.version, read.count, asking.signal);
      if (asking.signal.aborted) return;
      shown.setFocus(rows && { rows, hits: hits !== null });
      chosen.value = rows && rows.length;
    };
    focus().catch((thrown: unknown) => {
      if (isAborted(thrown)) return;
      if (thrown instanceof ServiceProblem && thrown.problem.code === "map-changed") revision.value += 1;
      else if (!(thrown instanceof ServiceProblem && thrown.problem.code === "invalid-filter")) say(messageOf(thrown)); // told above
    });
    return () => asking.abort();
  }, [pointsVersion, where, found]);

  const keys = (event: KeyboardEvent) => {
    const shown = view.peek();
    if (!shown || event.target !== box.current) return;
    if (event.key === "Enter") {
      const { width, height } = shown.size;
      const row = shown.nearestToMiddle();
      shown.hover(row);
      hovered.value = { row, left: width / 2, top: height / 2, fixed: row >= 0 };
    } else if (event.key === "Escape" && (hovered.peek().fixed || tool.peek() !== "move")) {
      hovered.value = { row: -1, left: 0, top: 0, fixed: false };
      tool.value = "move";
    } else if (event.key === "l" || event.key === "r") {
      const wanted = event.key === "l" ? "lasso" : "rectangle";
      tool.value = tool.peek() === wanted ? "move" : wanted;
    } else if (!key(event, shown)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  const drawing = useComputed(() => (line.value ?? []).map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
  const kept = useComputed(() => (frames.value >= 0 && view.value && points.value ? outline(view.value, points.value) : ""));
  return (
    <div class={`map is-${tool.value}`}>
      <div class="map-box" ref={box} tabIndex={0} role="application" aria-roledescription="map" aria-label="Map of the pictures: arrows move it, plus and minus zoom, Enter shows the picture in the middle" onKeyDown={keys}>
        <canvas ref={canvas} aria-hidden="true" />
        <svg class="map-lines" aria-hidden="true">
          {kept.value && <polygon class="is-kept" points={kept.value} />}
          {drawing.value && <polygon points={drawing.value} />}
        </svg>
        {view.value && colours.value?.kind === "categories" && <Labels view={view.value} palette={palette} colours={colours.value} frames={frames} />}
        {busy.value && <p class="map-said" role="status">The map is coming…</p>}
        {view.value && <Tools view={view.value} tool={tool} fields={fields} field={field} />}
        {view.value && colours.value && <Legend palette={palette} colours={colours.value} said={view.value.renderer.kind === "canvas" ? SLOW : ""} />}
        {view.value && hovered.value.row >= 0 && <Card view={view.value} colours={colours.value} {...hovered.value} onClose={() => (hovered.value = { row: -1, left: 0, top: 0, fixed: false })} />}
      </div>
      {(searching.value || filtered.value) && <Selection count={chosen.value} onAll={clearFilters} onFly={() => view.peek()?.flyToFocus()} onHover={(id) => void point(view.peek(), points.peek(), id)} />}
    </div>
  );
}

async function point(view: MapView | null, points: Points | null, id: string): Promise<void> {
  if (!view || !points) return;
  if (!id) return view.hover(-1);
  const told = await post("/v1/map/rows", { version: points.version, ids: [id], collection: collection.peek() });
  view.hover(told.rows[0] ?? -1);
}

/** What was drawn around becomes a filter. */
function choose(view: MapView, points: Points | null, drawing: readonly (readonly [number, number])[]): void {
  if (!points) return;
  // An address is no place for every pixel of a line.
  const lasso = simplified(drawing, 3).map(([left, top]): Place => {
    const [x, y] = toMap(view.camera, view.size, left, top);
    return [Number((points.left + x * points.extent).toPrecision(5)), Number((points.top - y * points.extent).toPrecision(5))];
  });
  go({ lasso, like: [], unlike: [], region: [] });
}

/** Fewer places of a line that stays within so many pixels of it (Ramer, 1972; Douglas and Peucker, 1973). */
function simplified(line: readonly (readonly [number, number])[], within: number): readonly (readonly [number, number])[] {
  const [first, last] = [line[0], line.at(-1)];
  if (!first || !last || line.length < 3) return line;
  const long = Math.hypot(last[0] - first[0], last[1] - first[1]);
  let [farthest, most] = [0, within];
  line.forEach(([x, y], place) => {
    const away = long > 0 ? Math.abs((last[0] - first[0]) * (first[1] - y) - (first[0] - x) * (last[1] - first[1])) / long : Math.hypot(x - first[0], y - first[1]);
    if (away > most) [farthest, most] = [place, away];
  });
  if (!farthest) return [first, last];
  return [...simplified(line.slice(0, farthest + 1), within).slice(0, -1), ...simplified(line.slice(farthest), within)];
}

/** What is chosen, on the screen. */
function outline(view: MapView, points: Points): string {
  return state.peek().lasso.map(([x, y]) => view.placeAt((x - points.left) / points.extent, (points.top - y) / points.extent).map((one) => one.toFixed(1)).join(",")).join(" ");
}

function shownAt(view: MapView): readonly number[] {
  const { x, y, zoom } = view.camera;
  const near = zoom / homeOf(view.size).zoom;
  const home = Math.abs(near - 1) < 1e-3 && Math.abs(x - 0.5) < 1e-3 && Math.abs(y - 0.5) < 1e-3;
  return home ? [] : [x, y, near].map((one) => Number(one.toPrecision(5)));
}

function remember(view: MapView): void {
  go({ at: shownAt(view) }, true);
}

function recall(view: MapView, at: readonly number[]): void {
  const [x = 0.5, y = 0.5, near = 1] = at;
  view.jump({ x, y, zoom: Math.min(Math.max(near, 0.6), 800) * homeOf(view.size).zoom });
}

function useDark(): boolean {
  const dark = useSignal(false);
  useEffect(() => {
    const asked = matchMedia("(prefers-color-scheme: dark)");
    const told = () => (dark.value = asked.matches);
    told();
    asked.addEventListener("change", told);
    return () => asked.removeEventListener("change", told);
  }, []);
  return dark.value;
}

