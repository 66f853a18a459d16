// What the service says about itself and the collection that is shown.
import { computed, signal } from "@preact/signals";
import { ServiceProblem, get, messageOf, revision } from "../api/call";
import { key } from "../api/key";
import type { About, CollectionFacts } from "../api/models";
import { state } from "./address";
import { settled } from "./leaving";
import { watch } from "./watch";

export const about = signal<About | null>(null);
export const facts = signal<CollectionFacts | null>(null);
/** Of all pictures, whatever is filtered; null while it is not known. */
export const total = signal<number | null>(null);
/** Why nothing can be shown at all, such as a collection that there is not. */
export const trouble = signal("");
/** Whether the trouble is that there is no such collection, or not yet: it is asked for again and again. */
export const missing = signal(false);
const AGAIN = 2000;
let again = 0;

export const collection = computed(() => state.value.collection || about.value?.collection || "images");
export const mayWrite = computed(() => about.value !== null && about.value.scope !== "search");
/** The named field's type, its owner's or one that Semblant noted. */
export const fields = computed(() => facts.value?.fields ?? {});

const named = computed(() => state.value.collection);
watch([named, revision, key], () => void load());

/** Ask for what is known about the collection. */
export async function load(name = state.peek().collection): Promise<void> {
  try {
    await settled;
    const told = await get("/v1/about");
    if (JSON.stringify(told) !== JSON.stringify(about.value)) about.value = told;
    const shown = name || told.collection;
    if (missing.value && !(await isThere(shown))) return wait();
    const [found, counted] = await Promise.all([get(`/v1/collections/${encodeURIComponent(shown)}` as "/v1/collections/{name}"), get("/v1/count", { collection: shown })]);
    facts.value = found;
    total.value = counted.count;
    trouble.value = "";
    const came = missing.value;
    missing.value = false;
    if (came) revision.value += 1;
  } catch (error) {
    trouble.value = messageOf(error);
    clearTimeout(again);
    missing.value = error instanceof ServiceProblem && error.problem.code === "collection-not-found";
    // What a service that is busy or about to start cannot do now, it can do soon.
    if (missing.value || (error instanceof ServiceProblem && (error.problem.status >= 500 || error.problem.status === 429))) wait();
  }
}

function wait(): void {
  clearTimeout(again);
  again = window.setTimeout(() => void load(), AGAIN);
}

/** Whether there is a collection of that name: a question that browsers' consoles do not call a failure. */
async function isThere(shown: string): Promise<boolean> {
  const { collections } = await get("/v1/collections");
  return collections.some((one) => one.name === shown);
}
