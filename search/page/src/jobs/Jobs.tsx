// What is indexed, and what runs.
import { get } from "../api/call";
import { useAsked } from "../parts/asked";
import { moment, plural, shownUri } from "../state/names";
import { collection, facts, total } from "../state/service";

export function Jobs() {
  const asked = useAsked(collection.value, (signal) => get("/v1/sources", { collection: collection.peek() }, signal));
  const { answer, error } = asked.value;
  const described = facts.value;
  return (
    <section class="jobs" aria-labelledby="jobs-title">
      <header>
        <h1 id="jobs-title">What is indexed</h1>
      </header>
      {error && <p class="empty">{error}</p>}
      <ul class="sources">
        {answer?.sources.map((one) => (
          <li key={one.id}>
            <strong>
              <bdi>{one.name}</bdi>
            </strong>
            <bdi class="hint">{shownUri(one.root)}</bdi>
            <span>
              {plural(one.pictures, "picture")}
              {one.scanned_at ? `, all of them last on ${moment(one.scanned_at)}` : ", never scanned to the end"}
            </span>
          </li>
        ))}
      </ul>
      {described && (
        <p class="hint">
          {total.value === null ? "" : `${plural(total.value, "picture")}, `}
          described by {described.encoder} in {described.dim} numbers each, {described.details ? "with" : "without"} details; made {moment(described.created_at)}.
        </p>
      )}
    </section>
  );
}
