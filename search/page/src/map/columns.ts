// Binary answers: the length of a JSON head, the head, and the columns that it names.
import { getBlob, withQuery } from "../api/call";
import { collection } from "../state/service";

type Column = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer>;
interface Listed {
  name: string;
  type: "uint8" | "uint16";
  length: number;
}

/** Where each picture lies; its row is its place in the columns. Those that are shown from farthest away come first. */
export interface Points {
  count: number;
  version: string;
  /** `_x` of the left edge and `_y` of the top edge, and the width of the square map. */
  left: number;
  top: number;
  extent: number;
  /** x and y of each row in turn, in 65,535ths. */
  places: Uint16Array<ArrayBuffer>;
  levels: Uint8Array<ArrayBuffer>;
}

export interface Category {
  value: string | number | boolean;
  label: string;
  count: number;
  /** Where most of them lie, 0–1. */
  x: number;
  y: number;
}

/** What each colour of the column stands for. */
export interface Colours {
  field: string;
  kind: "categories" | "ramp";
  legend: readonly Category[];
  low: number | string;
  high: number | string;
  steps: number;
  other: number;
  none: number;
  column: Uint8Array<ArrayBuffer>;
}

export const NONE = 255;
export const OTHER = 254;
const STEPS = 65_535;

export async function readPoints(signal: AbortSignal): Promise<Points> {
  const { head, columns } = await read("/v1/map/points", {}, signal);
  const { x, y, level } = columns;
  const count = level?.length ?? 0;
  const places = new Uint16Array(2 * count);
  for (let row = 0; row < count; row += 1) {
    places[2 * row] = x?.[row] ?? 0;
    places[2 * row + 1] = y?.[row] ?? 0;
  }
  return { count, version: String(head["version"]), left: Number(head["left"]), top: Number(head["top"]), extent: Number(head["extent"]), places, levels: level as Uint8Array<ArrayBuffer> };
}

export async function readColours(field: string, version: string, signal: AbortSignal): Promise<Colours> {
  const { head, columns } = await read("/v1/map/colours", { field, version }, signal);
  return { legend: [], low: 0, high: 0, steps: 1, other: 0, ...(head as object), column: columns["colour"] as Uint8Array<ArrayBuffer> } as unknown as Colours;
}

/** Rows that match a filter. */
export async function readMask(where: string, version: string, count: number, signal: AbortSignal): Promise<number[]> {
  const blob = await getBlob(withQuery("v1/map/mask", { where, version, collection: collection.peek() }), signal);
  const bits = new Uint8Array(await blob.arrayBuffer());
  const rows: number[] = [];
  for (let row = 0; row < count; row += 1) if (((bits[row >> 3] ?? 0) >> (row & 7)) & 1) rows.push(row);
  return rows;
}

export function unit(value: number | undefined): number {
  return (value ?? 0) / STEPS;
}

async function read(path: string, query: object, signal: AbortSignal): Promise<{ head: Record<string, unknown>; columns: Record<string, Column> }> {
  const blob = await getBlob(withQuery(path.slice(1), { ...query, collection: collection.peek() }), signal);
  const data = await blob.arrayBuffer();
  const length = new DataView(data).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length))) as Record<string, unknown>;
  const columns: Record<string, Column> = {};
  let at = 4 + length;
  for (const one of head["columns"] as Listed[]) {
    at += (4 - (at % 4)) % 4;
    columns[one.name] = one.type === "uint16" ? new Uint16Array(data, at, one.length) : new Uint8Array(data, at, one.length);
    at += one.length * (one.type === "uint16" ? 2 : 1);
  }
  return { head, columns };
}
