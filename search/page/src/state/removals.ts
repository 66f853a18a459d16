// Removing from the collection can be undone for some seconds: until then it has not been done.
import { signal } from "@preact/signals";
import { messageOf, post, postLast } from "../api/call";
import { collection, total } from "./service";
import { say } from "./notices";

const SECONDS = 8;

/** Ids that are not shown any more, whether or not the service was told. */
export const removed = signal<ReadonlySet<string>>(new Set());
let waiting: { ids: string[]; collection: string; timer: number } | null = null;

export function remove(ids: readonly string[]): void {
  void flush();
  if (!ids.length) return;
  removed.value = new Set([...removed.value, ...ids]);
  const name = collection.peek();
  waiting = { ids: [...ids], collection: name, timer: window.setTimeout(() => void flush(), SECONDS * 1000) };
  const what = ids.length === 1 ? "1 picture" : `${ids.length.toLocaleString()} pictures`;
  say(`${what} removed from the collection. Files stay.`, { label: "Undo", act: undo }, SECONDS);
}

function undo(): void {
  if (!waiting) return;
  clearTimeout(waiting.timer);
  const back = new Set(waiting.ids);
  waiting = null;
  removed.value = new Set([...removed.value].filter((id) => !back.has(id)));
}

async function flush(): Promise<void> {
  const now = waiting;
  if (!now) return;
  clearTimeout(now.timer);
  waiting = null;
  try {
    const told = await post("/v1/pictures/delete", { collection: now.collection, pictures: now.ids });
    if (total.value !== null) total.value -= told.count;
  } catch (error) {
    const back = new Set(now.ids);
    removed.value = new Set([...removed.value].filter((id) => !back.has(id)));
    say(`Not removed: ${messageOf(error)}`);
  }
}

addEventListener("pagehide", () => {
  if (!waiting) return;
  clearTimeout(waiting.timer);
  postLast("/v1/pictures/delete", { collection: waiting.collection, pictures: waiting.ids });
  waiting = null;
});
