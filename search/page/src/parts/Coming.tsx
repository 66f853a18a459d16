// Where there are no pictures yet, but a job is bringing them.
import { doing, working } from "../state/jobs";

export function Coming() {
  const job = working.value[0];
  if (!job) return null;
  const { total, done } = job.progress;
  return (
    <div class="empty" role="status">
      <strong>{doing(job)}</strong>
      <progress aria-label={doing(job)} {...(total ? { max: total, value: done } : {})} />
      <p>The pictures appear here as soon as they can be searched.</p>
    </div>
  );
}
