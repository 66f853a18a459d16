// The pictures that the address asks for: all that match, newest first, or the answers to a search, page by page.
import { batch, computed, signal } from "@preact/signals";
import { ServiceProblem, get, isAborted, messageOf, post, postForm, revision } from "../api/call";
import { key } from "../api/key";
import type { Example, Problem, Shown } from "../api/models";
import { type State, type View, state } from "./address";
import { removed } from "./removals";
import { about, collection, missing } from "./service";
import { isUpload, upload } from "./uploads";
import { watch } from "./watch";
import { whereOf } from "./where";

const PAGE = 120;
const MOST_REMEMBERED = 8;
/** Views that show what is found. */
const SHOWING: readonly View[] = ["pictures", "map"];

interface Page {
  pictures: Shown[];
  next: string | null;
}

const loaded = signal<readonly Shown[]>([]);
/** Those that are shown: of what was found, what was not removed just now. */
export const results = computed(() => loaded.value.filter((one) => !removed.value.has(one.id)));
export const loading = signal(true);
/** Whether there are more to come. */
export const more = signal(false);
export const problem = signal<Pick<Problem, "detail" | "code" | "column"> | null>(null);
/** Milliseconds from the question to its answer. */
export const took = signal(0);

/** What was found before, and where the page was scrolled to: going back is at once, and to the same place. */
const remembered = new Map<string, { revision: number; pictures: readonly Shown[]; next: string | null; scroll: number; took: number }>();
/** Where to scroll to, as soon as the pictures are laid out. */
export const scrollTo = signal(0);

let shownQuestion = "";
let next: string | null = null;
let asking: AbortController | null = null;

/** What a question is about: whatever else changes in the address, such as the picture in the viewer, asks nothing again. */
const question = computed(() => JSON.stringify({ ...state.value, open: "", colour: "", at: [], view: SHOWING.includes(state.value.view) }));

watch([question, revision, key, collection, about], () => {
  if (about.peek() && !missing.peek() && SHOWING.includes(state.peek().view)) void begin();
});

async function begin(): Promise<void> {
  remember();
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const asked = `${collection.peek()} ${question.peek()}`;
  const again = asked === shownQuestion;
  shownQuestion = asked;
  if (recall(asked)) return;
  loading.value = true;
  const begun = performance.now();
  try {
    const page = await ask(state.peek(), null, signal);
    batch(() => {
      loaded.value = page.pictures;
      if (!again) scrollTo.value = 0;
      took.value = performance.now() - begun;
      next = page.next;
      more.value = next !== null;
      problem.value = null;
      loading.value = false;
    });
  } catch (error) {
    if (!isAborted(error)) fail(error, true);
  }
}

function remember(): void {
  if (!loaded.peek().length || problem.peek()) return;
  remembered.delete(shownQuestion);
  remembered.set(shownQuestion, { revision: revision.peek(), pictures: loaded.peek(), next, scroll: window.scrollY, took: took.peek() });
  const [oldest] = remembered.keys();
  if (remembered.size > MOST_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
}

function recall(asked: string): boolean {
  const found = remembered.get(asked);
  if (!found || found.revision !== revision.peek()) return false;
  batch(() => {
    loaded.value = found.pictures;
    next = found.next;
    more.value = next !== null;
    problem.value = null;
    loading.value = false;
    took.value = found.took;
    scrollTo.value = found.scroll;
  });
  return true;
}

/** The next page, where there is one and none is on its way. */
export async function loadMore(): Promise<void> {
  if (loading.value || next === null || !asking) return;
  loading.value = true;
  const { signal } = asking;
  try {
    const page = await ask(state.peek(), next, signal);
    const known = new Set(loaded.value.map((one) => one.id));
    batch(() => {
      loaded.value = [...loaded.value, ...page.pictures.filter((one) => !known.has(one.id))];
      next = page.next;
      more.value = next !== null;
      loading.value = false;
    });
  } catch (error) {
    if (!isAborted(error)) fail(error, false);
  }
}

/** After a problem: the same once more, or the page that is missing. */
export async function askAgain(): Promise<void> {
  if (next === null) return begin();
  problem.value = null;
  await loadMore();
}

function fail(error: unknown, empties: boolean): void {
  batch(() => {
    if (empties) {
      loaded.value = [];
      next = null;
    }
    more.value = false;
    loading.value = false;
    problem.value = error instanceof ServiceProblem ? error.problem : { detail: messageOf(error), code: "" };
  });
}

async function ask(asked: State, cursor: string | null, signal: AbortSignal): Promise<Page> {
  const where = whereOf(asked);
  if (asked.like.length + asked.unlike.length === 0) {
    const listed = await get("/v1/pictures", { where, limit: PAGE, order_by: asked.order, descending: !asked.ascending, cursor, collection: collection.peek() }, signal);
    return { pictures: listed.pictures, next: listed.cursor ?? null };
  }
  const options = { collection: collection.peek(), limit: PAGE, ...(where === null ? {} : { where }) };
  const named = (names: readonly string[]) => names.filter((one) => !isUpload(one));
  const pictures = await uploads(asked.like);
  const region = asked.region.length ? { region: [...asked.region] } : {};
  const single = asked.like.length === 1 && asked.unlike.length === 0;
  if (asked.by === "details" && single) {
    const offset = Number(cursor ?? 0);
    const query = { ...options, ...region, offset };
    const answer = await (pictures.length ? postForm("/v1/search/features", pictures, query, signal) : post("/v1/search/features", { ...query, id: asked.like[0] ?? null }, signal));
    return { pictures: answer.hits, next: answer.hits.length === PAGE ? String(offset + PAGE) : null };
  }
  const chosen = { ...options, ...(cursor === null ? {} : { cursor }), ...(asked.diversity ? { diversity: asked.diversity } : {}) };
  const examples = (names: readonly string[]): Example[] => named(names).map((id) => ({ id }) as Example);
  const query = single ? { ...chosen, ...region, ...(pictures.length ? {} : { id: asked.like[0] ?? null }) } : { ...chosen, like: examples(asked.like), unlike: examples(asked.unlike) };
  const answer = await (pictures.length ? postForm("/v1/search", pictures, query, signal) : post("/v1/search", query, signal));
  return { pictures: answer.hits, next: answer.cursor ?? null };
}

async function uploads(names: readonly string[]): Promise<Blob[]> {
  const found = await Promise.all(names.filter(isUpload).map(upload));
  if (found.includes(null)) throw new Error("This search asked with a picture that this browser does not have (any more). Drop it here again.");
  return found as Blob[];
}
