// Which pictures take the place of their points: at any zoom those that fit without overlap.
import { type Camera, type Size, homeOf } from "./camera";
import { type Points, unit } from "./columns";

/** Levels that keep a distance, as the service computed them: each is 1/√2 of the one before it. */
const SPACED = 24;
const MOST = 360;

/** The room of one picture in CSS pixels: a little more as one comes nearer. */
export function roomOf(camera: Camera, size: Size): number {
  const least = size.width < 500 ? 44 : 56;
  return least * Math.min(Math.max(1, (camera.zoom / homeOf(size).zoom) ** 0.28), 2.6);
}

/** The level up to which pictures are shown, and how far they lie apart there at least, in CSS pixels. */
export function levelOf(camera: Camera, room: number): { level: number; apart: number } {
  const level = Math.min(Math.max(Math.floor(2 * Math.log2(camera.zoom / room)), -1), SPACED - 1);
  return { level, apart: 2 ** (-level / 2) * camera.zoom };
}

/** Rows of all points up to a level: they come first. */
export function rowsUpTo(points: Points, level: number): number {
  let low = 0;
  let high = points.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points.levels[middle] ?? 0) <= level) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Of the first rows those that are on the screen, or nearly. */
export function onScreen(points: Points, rows: readonly number[] | number, camera: Camera, size: Size, around: number): number[] {
  const found: number[] = [];
  const count = typeof rows === "number" ? rows : rows.length;
  const right = (size.width / 2 + around) / camera.zoom;
  const down = (size.height / 2 + around) / camera.zoom;
  for (let place = 0; place < count && found.length < MOST; place += 1) {
    const row = typeof rows === "number" ? place : (rows[place] ?? 0);
    if (Math.abs(unit(points.places[2 * row]) - camera.x) <= right && Math.abs(unit(points.places[2 * row + 1]) - camera.y) <= down) found.push(row);
  }
  return found;
}

/** Of some rows, best first, those that fit at a distance: the same greedy choice as the service makes of all. */
export function thinned(points: Points, rows: readonly number[], distance: number): number[] {
  const cells = new Map<number, number>();
  const across = Math.ceil(1 / distance) + 3;
  const kept: number[] = [];
  for (const row of rows) {
    const x = unit(points.places[2 * row]);
    const y = unit(points.places[2 * row + 1]);
    const cell = (Math.floor(x / distance) + 1) * across + Math.floor(y / distance) + 1;
    let free = true;
    for (const step of [0, -1, 1, -across, across, -across - 1, -across + 1, across - 1, across + 1]) {
      const other = cells.get(cell + step);
      if (other !== undefined && Math.abs(unit(points.places[2 * other]) - x) < distance && Math.abs(unit(points.places[2 * other + 1]) - y) < distance) {
        free = false;
        break;
      }
    }
    if (!free) continue;
    cells.set(cell, row);
    kept.push(row);
  }
  return kept;
}

/** Points by the cells of a grid, to find the nearest one to the pointer. */
export class Grid {
  private readonly starts: Uint32Array;
  private readonly rows: Uint32Array;
  private readonly across: number;

  constructor(private readonly points: Points) {
    const across = Math.min(Math.max(Math.ceil(Math.sqrt(points.count / 4)), 1), 1024);
    this.across = across;
    this.starts = new Uint32Array(across * across + 1);
    this.rows = new Uint32Array(points.count);
    for (let row = 0; row < points.count; row += 1) {
      const cell = this.cellOf(row) + 1;
      this.starts[cell] = (this.starts[cell] ?? 0) + 1;
    }
    for (let cell = 1; cell < this.starts.length; cell += 1) this.starts[cell] = (this.starts[cell] ?? 0) + (this.starts[cell - 1] ?? 0);
    const next = this.starts.slice();
    for (let row = 0; row < points.count; row += 1) {
      const cell = this.cellOf(row);
      const place = next[cell] ?? 0;
      this.rows[place] = row;
      next[cell] = place + 1;
    }
  }

  /** The nearest row within a distance, that may be chosen; −1 for none. */
  nearest(x: number, y: number, within: number, may: (row: number) => boolean): number {
    const { across, points } = this;
    const bound = (value: number) => Math.min(Math.max(Math.floor(value * across), 0), across - 1);
    let best = -1;
    let least = within * within;
    for (let i = bound(x - within); i <= bound(x + within); i += 1) {
      for (let j = bound(y - within); j <= bound(y + within); j += 1) {
        const cell = i * across + j;
        for (let place = this.starts[cell] ?? 0; place < (this.starts[cell + 1] ?? 0); place += 1) {
          const row = this.rows[place] ?? 0;
          const away = (unit(points.places[2 * row]) - x) ** 2 + (unit(points.places[2 * row + 1]) - y) ** 2;
          if (away < least && may(row)) [best, least] = [row, away];
        }
      }
    }
    return best;
  }

  private cellOf(row: number): number {
    const { across, points } = this;
    const bound = (value: number) => Math.min(Math.floor(value * across), across - 1);
    return bound(unit(points.places[2 * row])) * across + bound(unit(points.places[2 * row + 1]));
  }
}

