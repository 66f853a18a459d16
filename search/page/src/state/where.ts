// From what was chosen to one filter, in the service's language of expressions.
import type { State } from "./address";

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
    if (high) parts.push(`${fieldName(field)} <= ${bound(high)}`);
  }
  for (const [field, sides] of Object.entries(state.places)) {
    if (field !== without) parts.push(`within(${fieldName(field)}, ${sides.join(", ")})`);
  }
  return parts.length ? parts.join(" and ") : null;
}

function bound(value: string): string {
  return Number.isFinite(Number(value)) && value.trim() ? value : `date(${text(value)})`;
}
