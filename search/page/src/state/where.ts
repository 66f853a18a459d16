// From what was chosen to one filter, in the service's language of expressions.
import type { Place, State } from "./address";
import { daysLater, isDay } from "./days";

/** A field's name as an expression takes it. */
export function fieldName(field: string): string {
  return /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(field) && !/^(and|or|not|in|is|null|true|false)$/.test(field) ? field : `field(${text(field)})`;
}

/** Text in quotes, as an expression takes it. */
export function text(value: string): string {
  return JSON.stringify(value);
}

/** The filter of a state, or null for none. `without` leaves a field's own choice out: its other values are counted, too. */
export function whereOf(state: State, without = ""): string | null {
  const parts: string[] = [];
  if (state.where.trim()) parts.push(`(${state.where.trim()})`);
  if (state.folder) parts.push(`startswith(_uri, ${text(state.folder)})`);
  for (const [field, values] of Object.entries(state.values)) {
    if (field !== without) parts.push(`${fieldName(field)} in [${values.join(", ")}]`);
  }
  for (const [field, [low, high]] of Object.entries(state.ranges)) {
    if (field === without) continue;
    if (low) parts.push(`${fieldName(field)} >= ${bound(low)}`);
    if (high) parts.push(`${fieldName(field)} ${upTo(high)}`);
  }
  for (const [field, sides] of Object.entries(state.places)) {
    if (field !== without) parts.push(`within(${fieldName(field)}, ${sides.join(", ")})`);
  }
  if (state.lasso.length) parts.push(within(state.lasso));
  return parts.length ? parts.join(" and ") : null;
}

function bound(value: string): string {
  return Number.isFinite(Number(value)) && value.trim() ? value : `date(${text(value)})`;
}

/** A day ends when the next one begins; a time is where bins end, and the next one's. */
export function upTo(value: string): string {
  if (isDay(value)) return value === "9999-12-31" ? "is not null" : `< ${bound(daysLater(value, 1))}`;
  return `${Number.isFinite(Number(value)) ? "<=" : "<"} ${bound(value)}`;
}

const STRIPS = 40;

/** What lies inside a line, as strips of it: a rectangle is one, other shapes are as near as their many strips come. */
function within(lasso: readonly Place[]): string {
  const ys = lasso.map((place) => place[1]);
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  const strips: { low: number; high: number; ends: string }[] = [];
  for (let strip = 0; strip < STRIPS; strip += 1) {
    const low = bottom + ((top - bottom) * strip) / STRIPS;
    const high = bottom + ((top - bottom) * (strip + 1)) / STRIPS;
    const last = strips.at(-1);
    const ends = crossings(lasso, (low + high) / 2)
      .map(([left, right]) => `(_x >= ${number(left)} and _x <= ${number(right)})`)
      .join(" or ");
    if (last && last.ends === ends) last.high = high;
    else if (ends) strips.push({ low, high, ends });
  }
  const said = strips.map(({ low, high, ends }) => `(_y >= ${number(low)} and _y < ${number(high)} and (${ends}))`);
  return said.length ? `(${said.join(" or ")})` : "_x is null and _x is not null";
}

/** The stretches of a line of the map that lie inside. */
function crossings(lasso: readonly Place[], y: number): [number, number][] {
  const found: number[] = [];
  lasso.forEach(([x1, y1], place) => {
    const [x2, y2] = lasso[(place + 1) % lasso.length] ?? [x1, y1];
    if (y1 <= y !== y2 <= y) found.push(x1 + ((y - y1) / (y2 - y1)) * (x2 - x1));
  });
  found.sort((one, other) => one - other);
  return Array.from({ length: found.length >> 1 }, (_, pair) => [found[2 * pair] ?? 0, found[2 * pair + 1] ?? 0]);
}

function number(value: number): string {
  return value.toFixed(3);
}
