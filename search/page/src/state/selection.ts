// The pictures that were marked to do something with all of them.
import { computed, signal } from "@preact/signals";
import type { Shown } from "../api/models";
import { results } from "./results";

const marked = signal<ReadonlyMap<string, Shown>>(new Map());
let last = "";

export const selection = computed(() => [...marked.value.values()]);
export const selecting = computed(() => marked.value.size > 0);

export function isSelected(id: string): boolean {
  return marked.value.has(id);
}

/** Mark or unmark one; with `through`, all from the last one to it. */
export function toggle(picture: Shown, through = false): void {
  const next = new Map(marked.value);
  const shown = results.peek();
  const from = through ? shown.findIndex((one) => one.id === last) : -1;
  const to = shown.findIndex((one) => one.id === picture.id);
  if (from >= 0 && to >= 0) {
    for (const one of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) next.set(one.id, one);
  } else if (!next.delete(picture.id)) {
    next.set(picture.id, picture);
  }
  last = picture.id;
  marked.value = next;
}

export function clearSelection(): void {
  if (marked.value.size) marked.value = new Map();
}
