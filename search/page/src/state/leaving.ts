// A removal that the page did not see done before it went away: the next page of this tab waits for it, so that it shows no
// picture that is on its way out.
import { post } from "../api/call";
import { inParts, stillThere } from "../api/parts";

export interface Removal {
  ids: readonly string[];
  collection: string;
}

export const PATH = "/v1/pictures/delete";
const PLACE = "semblant-removing";
/** Bytes that browsers send for a page that has ended: 64 KiB, of which a little is needed for the rest. */
const MOST_AT_END = 60_000;
const ID_BYTES = 39;
const LOOKS = 20;
const BETWEEN = 100;
/** Milliseconds, after which a page that comes back is no reload: pictures may have been indexed again since. */
const LONG = 60_000;

/** Whether it can be sent in the moment the page ends. */
export function fits(removal: Removal): boolean {
  return removal.ids.length * ID_BYTES < MOST_AT_END;
}

export function keepLast({ ids, collection }: Removal): void {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({ ids, collection, time: Date.now() }));
  } catch {
    // Storage that is full or not allowed: the next page may count the pictures still.
  }
}

export function forgetLast(): void {
  try {
    sessionStorage.removeItem(PLACE);
  } catch {
    // as above
  }
}

/** Done when the removal of the page before is. */
export const settled = settle();

async function settle(): Promise<void> {
  const last = read();
  if (!last) return;
  const { ids, collection } = last;
  try {
    // What the page before has sent may be on its way still.
    let left = await stillThere(collection, ids);
    for (let looks = 1; left.length && fits(last) && looks < LOOKS; looks += 1) {
      await new Promise((soon) => setTimeout(soon, BETWEEN));
      left = await stillThere(collection, left);
    }
    await inParts(collection, left, (pictures) => post(PATH, { collection, pictures }));
  } catch {
    // Refused, or no service: the pictures are shown.
  }
  forgetLast();
}

function read(): Removal | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null") as (Removal & { time: number }) | null;
    if (kept && Date.now() - kept.time < LONG) return kept;
    forgetLast();
  } catch {
    // none that can be read
  }
  return null;
}
