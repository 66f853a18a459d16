// Removing from the collection can be undone for some seconds: until then it has not been done.
import { signal } from "@preact/signals";
import { messageOf, post, postLast, revision } from "../api/call";
import { inParts } from "../api/parts";
import { PATH, type Removal, fits, forgetLast, keepLast } from "./leaving";
import { say } from "./notices";
import { collection, total } from "./service";

const SECONDS = 8;

/** Ids that are not shown any more, whether or not the service was told. */
export const removed = signal<ReadonlySet<string>>(new Set());
let waiting: (Removal & { timer: number }) | null = null;

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
  show(waiting.ids);
  waiting = null;
}

function show(ids: readonly string[]): void {
  const back = new Set(ids);
  removed.value = new Set([...removed.value].filter((id) => !back.has(id)));
}

async function flush(): Promise<void> {
  const now = waiting;
  if (!now) return;
  clearTimeout(now.timer);
  waiting = null;
  keepLast(now);
  try {
    const count = await inParts(now.collection, now.ids, (pictures) => post(PATH, { collection: now.collection, pictures }));
    if (total.value !== null) total.value -= count;
  } catch (error) {
    show(now.ids);
    say(`Not removed: ${messageOf(error)}`);
    revision.value += 1; // of many, some may have been
  }
  forgetLast();
}

addEventListener("beforeunload", (event) => {
  if (!waiting || fits(waiting)) return;
  event.preventDefault(); // the browser asks whether to leave; meanwhile it is sent
  void flush();
});

addEventListener("pagehide", () => {
  if (!waiting) return;
  clearTimeout(waiting.timer);
  keepLast(waiting);
  if (fits(waiting)) postLast(PATH, { collection: waiting.collection, pictures: waiting.ids });
  waiting = null;
});
