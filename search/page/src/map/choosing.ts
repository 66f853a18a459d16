// Filtering from the map: by a value of the field that it is coloured by.
import { chosenOf, go, state } from "../state/address";

export function isChosen(field: string, value: unknown): boolean {
  return (chosenOf(state.value.values, field) ?? []).includes(JSON.stringify(value));
}

/** Choose a value, or take the choice back. */
export function chooseValue(field: string, value: unknown): void {
  const json = JSON.stringify(value);
  const values = { ...state.peek().values };
  const before = values[field] ?? [];
  const next = before.includes(json) ? before.filter((one) => one !== json) : [...before, json];
  if (next.length) values[field] = next;
  else delete values[field];
  go({ values, like: [], unlike: [], region: [] });
}
