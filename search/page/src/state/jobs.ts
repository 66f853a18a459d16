// The jobs of the service, followed while they run; what they bring is shown as it comes.
import { computed, signal } from "@preact/signals";
import { ServiceProblem, get, messageOf, post, revision } from "../api/call";
import { key } from "../api/key";
import type { Job, JobQuery } from "../api/models";
import { searching, state } from "./address";
import { about, load, missing } from "./service";
import { say } from "./notices";
import { watch } from "./watch";

const BUSY = 1000;
const IDLE = 15_000;
const SHOWN_EVERY = 6000;

export const jobs = signal<readonly Job[]>([]);
/** Whether they were asked for: before that, none is no answer. */
export const jobsKnown = signal(false);
/** Folders that may be indexed from here; null where the service has no jobs, or they are not this caller's. */
export const roots = signal<readonly string[] | null>(null);
/** Those that are at work now: not those that wait for a change. */
export const working = computed(() => jobs.value.filter((one) => isActive(one) && one.progress.phase !== "waiting"));

let timer = 0;
let runs = 0;
let shown = 0;
let awaited = 0;
let arriving = Promise.resolve();

export function isActive(job: Job): boolean {
  return job.state === "running" || job.state === "cancelling";
}

watch([about, key], () => {
  if (about.peek()) void follow();
});

async function follow(): Promise<void> {
  clearTimeout(timer);
  if (about.peek()?.scope !== "admin" || about.peek()?.limited) {
    jobsKnown.value = true;
    return;
  }
  try {
    const told = await get("/v1/jobs");
    // What a run has made is there before it is said to have ended: else there would be neither for a moment.
    const ended = runsOf(told.jobs);
    if (missing.peek() && ended !== awaited) {
      awaited = ended;
      arriving = load();
    }
    await arriving;
    jobs.value = told.jobs;
    roots.value = told.roots;
    jobsKnown.value = true;
    refresh();
  } catch (error) {
    jobsKnown.value = true;
    if (error instanceof ServiceProblem && [403, 404, 501].includes(error.problem.status)) return; // no jobs here
  }
  timer = window.setTimeout(() => void follow(), working.peek().length ? BUSY : IDLE);
}

/** Ask for everything again when a run has ended, and now and then before that, where nobody is in the middle of something. */
function refresh(): void {
  const now = runsOf(jobs.peek());
  const ended = now !== runs && now > 0;
  const idle = window.scrollY < 100 && !searching.peek() && !state.peek().open;
  if (ended || (working.peek().length && idle && performance.now() - shown > SHOWN_EVERY)) {
    shown = performance.now();
    revision.value += 1;
  }
  runs = now;
}

function runsOf(all: readonly Job[]): number {
  return all.reduce((sum, one) => sum + one.runs, 0);
}

export async function startJob(query: Partial<JobQuery>): Promise<void> {
  try {
    await post("/v1/jobs", query);
  } catch (error) {
    say(messageOf(error));
  }
  await follow();
}

export async function cancelJob(id: string): Promise<void> {
  try {
    await post(`/v1/jobs/${id}/cancel` as "/v1/jobs/{id}/cancel", {});
  } catch (error) {
    say(messageOf(error));
  }
  await follow();
}

const PHASES: Record<string, string> = {
  scan: "Looking at what is there",
  vocabulary: "Learning visual words",
  index: "Indexing",
  optimize: "Building the index",
  calibrate: "Measuring what chance does",
  waiting: "Waiting for changes",
  done: "Done",
};

/** What a job does now, in words: `Indexing 120 of 400`. */
export function doing(job: Job): string {
  const { phase, done, total } = job.progress;
  if (job.state === "cancelling") return "Ending";
  const what = PHASES[phase] ?? phase;
  return total && phase !== "waiting" && phase !== "done" ? `${what} ${done.toLocaleString()} of ${total.toLocaleString()}` : what;
}
