// Where pictures were taken: a plain map of the cells that hold some; a rectangle drawn on it, or typed, is the filter.
import { useSignal } from "@preact/signals";
import { get } from "../api/call";
import type { PlaceCell } from "../api/models";
import { useAsked } from "../parts/asked";
import { type Rectangle, chosenOf, go, state } from "../state/address";
import { fieldLabel } from "../state/names";
import { collection } from "../state/service";
import { whereOf } from "../state/where";

const WIDTH = 240;
const HEIGHT = 150;
/** Degrees that are shown at least, so that one place is not the whole map. */
const LEAST = 0.02;
const SIDES = ["South", "West", "North", "East"] as const;

interface View {
  west: number;
  north: number;
  /** Units of the drawing for a degree, along and up: a degree of longitude is shorter away from the equator. */
  across: number;
  up: number;
}

export function PlaceFilter({ field }: { field: string }) {
  const where = whereOf(state.value, field);
  const asked = useAsked(JSON.stringify([collection.value, field, where]), (signal) => get("/v1/places", { field, where, cells: 150, collection: collection.peek() }, signal));
  const drawn = useSignal<Rectangle | null>(null);
  const chosen = chosenOf(state.value.places, field) ?? null;
  const { answer, error } = asked.value;
  if (error) return <p class="hint">{error}</p>;
  if (!answer) return <p class="hint">…</p>;
  if (!answer.cells.length) return <p class="hint">No picture here has one.</p>;

  const choose = (rectangle: Rectangle | null) => {
    const places = { ...state.peek().places };
    if (rectangle) places[field] = rectangle;
    else delete places[field];
    go({ places });
  };
  const view = viewOf(answer.cells);
  const shown = drawn.value ?? chosen;
  return (
    <div class="places">
      <PlaceMap cells={answer.cells} view={view} rectangle={shown} onDraw={(one) => (drawn.value = one)} onChoose={choose} label={fieldLabel(field)} />
      <div class="places-sides">
        {SIDES.map((side, at) => (
          <label key={side}>
            <span>{side}</span>
            <input
              type="number"
              step="any"
              min={at % 2 ? -180 : -90}
              max={at % 2 ? 180 : 90}
              value={shown ? shown[at] : ""}
              placeholder={degrees(extentOf(answer.cells)[at] ?? 0)}
              aria-label={`${fieldLabel(field)}: ${side.toLowerCase()}`}
              onChange={(event) => {
                const next = [...(chosen ?? extentOf(answer.cells))] as [number, number, number, number];
                next[at] = event.currentTarget.valueAsNumber;
                if (next.every(Number.isFinite) && next[0] <= next[2] && event.currentTarget.checkValidity()) choose(next);
              }}
            />
          </label>
        ))}
      </div>
      <p class="hint">{chosen ? <button type="button" class="quiet" onClick={() => choose(null)}>Everywhere</button> : "Draw a rectangle on the map."}</p>
    </div>
  );
}

interface Drawing {
  cells: readonly PlaceCell[];
  view: View;
  rectangle: Rectangle | null;
  label: string;
  onDraw: (rectangle: Rectangle | null) => void;
  onChoose: (rectangle: Rectangle | null) => void;
}

function PlaceMap({ cells, view, rectangle, label, onDraw, onChoose }: Drawing) {
  const from = useSignal<readonly [number, number] | null>(null);
  const most = Math.max(...cells.map((cell) => cell.count));
  const place = (event: PointerEvent & { currentTarget: SVGSVGElement }): [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    const inside = (value: number) => Math.min(1, Math.max(0, value));
    const x = inside((event.clientX - box.left) / box.width) * WIDTH;
    const y = inside((event.clientY - box.top) / box.height) * HEIGHT;
    return [limited(view.north - y / view.up, 90), limited(view.west + x / view.across, 180)];
  };
  const between = (one: readonly [number, number], other: readonly [number, number]): Rectangle => [
    Math.min(one[0], other[0]),
    Math.min(one[1], other[1]),
    Math.max(one[0], other[0]),
    Math.max(one[1], other[1]),
  ];
  const boxOf = ([south, west, north, east]: Rectangle) => ({
    x: (west - view.west) * view.across,
    y: (view.north - north) * view.up,
    width: Math.max(1, (east - west) * view.across),
    height: Math.max(1, (north - south) * view.up),
  });
  const dotOf = (cell: PlaceCell) => {
    const { x, y, width, height } = boxOf([cell.south, cell.west, cell.north, cell.east]);
    // Few are seen beside many.
    return { cx: x + width / 2, cy: y + height / 2, r: 2 + 5 * Math.sqrt(cell.count / most) };
  };
  return (
    <svg
      class="places-map"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={`Map of ${label}: ${cells.reduce((sum, cell) => sum + cell.count, 0).toLocaleString()} pictures`}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        from.value = place(event);
      }}
      onPointerMove={(event) => {
        if (from.value) onDraw(between(from.value, place(event)));
      }}
      onPointerUp={(event) => {
        const begun = from.value;
        from.value = null;
        onDraw(null);
        if (!begun) return;
        const drawn = between(begun, place(event));
        if (boxOf(drawn).width > 3 && boxOf(drawn).height > 3) return onChoose(drawn);
        // A click means the dot that is nearest.
        const away = (cell: PlaceCell) => Math.hypot((dotOf(cell).cx / view.across + view.west - begun[1]) * view.across, (view.north - dotOf(cell).cy / view.up - begun[0]) * view.up);
        const hit = cells.reduce((one, other) => (away(other) < away(one) ? other : one));
        if (away(hit) > dotOf(hit).r + 6) return;
        onChoose([hit.south, hit.west, hit.north, hit.east]);
      }}
      onPointerCancel={() => {
        from.value = null;
        onDraw(null);
      }}
    >
      {lines(view).map(({ x, y, text }) => (
        <g key={text} class="places-line">
          {x === null ? <line x1={0} x2={WIDTH} y1={y ?? 0} y2={y ?? 0} /> : <line x1={x} x2={x} y1={0} y2={HEIGHT} />}
          <text x={x === null ? 2 : x + 2} y={x === null ? (y ?? 0) - 2 : HEIGHT - 3}>
            {text}
          </text>
        </g>
      ))}
      {cells.map((cell) => (
        <circle key={`${cell.south} ${cell.west}`} {...dotOf(cell)}>
          <title>{cell.count.toLocaleString()}</title>
        </circle>
      ))}
      {rectangle && <rect class="places-chosen" {...boxOf(rectangle)} />}
    </svg>
  );
}

function extentOf(cells: readonly PlaceCell[]): [number, number, number, number] {
  return [
    Math.min(...cells.map((cell) => cell.south)),
    Math.min(...cells.map((cell) => cell.west)),
    Math.max(...cells.map((cell) => cell.north)),
    Math.max(...cells.map((cell) => cell.east)),
  ];
}

/** All cells with some room around them, in the proportions of the middle. */
function viewOf(cells: readonly PlaceCell[]): View {
  const [south, west, north, east] = extentOf(cells);
  const [lat, lon] = [(south + north) / 2, (west + east) / 2];
  const shorter = Math.max(0.2, Math.cos((lat * Math.PI) / 180));
  const tall = Math.max(LEAST, (north - south) * 1.15);
  const wide = Math.max(LEAST, (east - west) * 1.15);
  const up = Math.min(HEIGHT / tall, WIDTH / (wide * shorter));
  const across = up * shorter;
  return { west: lon - WIDTH / across / 2, north: lat + HEIGHT / up / 2, across, up };
}

interface Line {
  x: number | null;
  y: number | null;
  text: string;
}

/** Lines of round degrees, three or so each way. */
function lines(view: View): Line[] {
  const found: Line[] = [];
  const along = stepOf(WIDTH / view.across);
  for (let lon = Math.ceil(view.west / along) * along; lon < view.west + WIDTH / view.across; lon += along) {
    if (Math.abs(lon) <= 180) found.push({ x: (lon - view.west) * view.across, y: null, text: `${degrees(Math.abs(lon))}°${lon < 0 ? "W" : "E"}` });
  }
  const up = stepOf(HEIGHT / view.up);
  const south = view.north - HEIGHT / view.up;
  for (let lat = Math.ceil(south / up) * up; lat < view.north; lat += up) {
    if (Math.abs(lat) <= 90) found.push({ x: null, y: (view.north - lat) * view.up, text: `${degrees(Math.abs(lat))}°${lat < 0 ? "S" : "N"}` });
  }
  return found;
}

function stepOf(span: number): number {
  const power = 10 ** Math.floor(Math.log10(span / 2));
  return [5, 2, 1].map((one) => one * power).find((one) => span / one >= 2) ?? power;
}

function degrees(value: number): string {
  return String(Number(value.toFixed(4)));
}

function limited(value: number, most: number): number {
  return Number(Math.min(most, Math.max(-most, value)).toFixed(6));
}
