// What is indexed, what runs, what failed and why; index again, watch, cancel.
import { useSignal } from "@preact/signals";
import { get } from "../api/call";
import type { Job } from "../api/models";
import { useAsked } from "../parts/asked";
import { Icon } from "../parts/Icon";
import { cancelJob, doing, isActive, jobs, roots, startJob } from "../state/jobs";
import { fileName, moment, plural, shownUri } from "../state/names";
import { collection, facts, total } from "../state/service";

export function Jobs() {
  const asked = useAsked(collection.value, (signal) => get("/v1/sources", { collection: collection.peek() }, signal));
  const { answer, error } = asked.value;
  const described = facts.value;
  const may = roots.value !== null && roots.value.length > 0;
  const folder = (uri: string) => shownUri(uri).replace(/(.)\/$/, "$1");
  const startable = (root: string) => may && roots.value?.some((one) => folder(root) === one || folder(root).startsWith(`${one}/`));
  const busy = (root: string) => jobs.value.some((one) => isActive(one) && one.source === folder(root));
  return (
    <section class="jobs" aria-labelledby="jobs-title">
      <header>
        <h1 id="jobs-title">What is indexed</h1>
      </header>
      {error && <p class="empty">{error}</p>}
      <ul class="sources">
        {answer?.sources.map((one) => (
          <li key={one.id}>
            <div>
              <strong>
                <bdi>{one.name}</bdi>
              </strong>
              <bdi class="hint">{shownUri(one.root)}</bdi>
              <span>
                {plural(one.pictures, "picture")}
                {one.scanned_at ? `, looked through on ${moment(one.scanned_at)}` : ", not yet looked through to the end"}
              </span>
            </div>
            {startable(one.root) && !busy(one.root) && (
              <div class="selection-actions">
                <button type="button" onClick={() => void startJob({ source: folder(one.root), source_name: one.name, collection: collection.peek(), prune: true, exif: true })}>
                  <Icon name="retry" /> <span>Index again</span>
                </button>
                <button type="button" onClick={() => void startJob({ source: folder(one.root), source_name: one.name, collection: collection.peek(), prune: true, exif: true, kind: "watch" })}>
                  <span>Watch</span>
                </button>
              </div>
            )}
          </li>
        ))}
      </ul>
      {described && (
        <p class="hint">
          {total.value === null ? "" : `${plural(total.value, "picture")}, `}
          described by {described.encoder} in {described.dim} numbers each, {described.details ? "with" : "without"} details; made {moment(described.created_at)}.
        </p>
      )}
      {jobs.value.length > 0 && <h2>Jobs</h2>}
      <ul class="sources">
        {jobs.value.map((one) => (
          <JobView key={one.id} job={one} />
        ))}
      </ul>
      {!may && (
        <p class="hint">
          Jobs can be started here where the service may read the folders: <code>semblant serve --jobs-root DIR</code>, or <code>semblant open PICTURES</code>.
        </p>
      )}
    </section>
  );
}

const STATES: Record<string, string> = { done: "Done", failed: "Failed", cancelled: "Ended before it was done" };

function JobView({ job }: { job: Job }) {
  const all = useSignal(false);
  const { progress, failures, report, problem } = job;
  const active = isActive(job);
  return (
    <li>
      <div>
        <strong>
          <bdi>{fileName(job.source)}</bdi>
        </strong>
        <span>
          {active ? doing(job) : (STATES[job.state] ?? job.state)}
          <span class="hint"> {moment(job.ended_at ?? job.created_at)}</span>
        </span>
        {active && progress.phase !== "waiting" && <progress aria-label={doing(job)} {...(progress.total ? { max: progress.total, value: progress.done } : {})} />}
        {active && progress.pictures_per_s > 0 && <span class="hint">{Math.round(progress.pictures_per_s).toLocaleString()} pictures a second</span>}
        {report && <span class="hint">{report.account}</span>}
        {problem && <span class="is-problem">{problem.detail}</span>}
        {failures.length > 0 && (
          <details open={all.value} onToggle={(event) => (all.value = event.currentTarget.open)}>
            <summary>{plural(failures.length, "picture")} could not be used</summary>
            {all.value && (
              <ul class="failures">
                {failures.map((one) => (
                  <li key={one.uri}>
                    <bdi title={shownUri(one.uri)}>{fileName(one.uri)}</bdi> <span class="hint">{one.message}</span>
                  </li>
                ))}
              </ul>
            )}
          </details>
        )}
      </div>
      {active && (
        <button type="button" disabled={job.state === "cancelling"} onClick={() => void cancelJob(job.id)}>
          <Icon name="close" /> End
        </button>
      )}
    </li>
  );
}
