// All pictures or the answers to a search, with what is said about them, and what to do where there are none.
import { Grid } from "../grid/Grid";
import { clearFilters } from "../filters/Filters";
import { Query } from "../query/Query";
import { filtered, go, searching, state } from "../state/address";
import { fieldLabel, fileName, plural } from "../state/names";
import { askAgain, loading, more, problem, results, took } from "../state/results";
import { collection, facts, fields, total } from "../state/service";
import { working } from "../state/jobs";
import { useAsked } from "../parts/asked";
import { Coming } from "../parts/Coming";
import { get } from "../api/call";
import { whereOf } from "../state/where";

const UNLIKELY = 0.5;

export function Pictures() {
  return (
    <>
      {searching.value && <Query />}
      <Said />
      <Grid />
      <Foot />
    </>
  );
}

function Said() {
  const where = whereOf(state.value);
  const asked = useAsked(where === null || searching.value ? "" : JSON.stringify([collection.value, where, total.value]), (signal) => get("/v1/count", { where, collection: collection.peek() }, signal));
  const found = results.value;
  const first = found[0];
  const count = where === null ? total.value : (asked.value.answer?.count ?? null);
  const { folder, order, ascending, by } = state.value;
  const what = folder ? fileName(folder) : "";
  return (
    <div class="said">
      <p role="status">
        {searching.value ? (
          !loading.value && found.length > 0 && <>{by === "details" ? `${plural(found.length, "picture")} proven` : first?.probability != null && first.probability < UNLIKELY && !state.value.diversity ? <>Nothing here looks clearly like it; these come nearest</> : `Best first`} <span class="hint">{Math.round(took.value)} ms</span></>
        ) : (
          <>
            {what && <strong>{what} </strong>}
            {count !== null && plural(count, "picture")}
            {count !== null && filtered.value && total.value !== null && <span class="hint"> of {total.value.toLocaleString()}</span>}
          </>
        )}
      </p>
      {filtered.value && (
        <button type="button" class="quiet" onClick={clearFilters}>
          Clear filters
        </button>
      )}
      {!searching.value && (
        <label class="order">
          <span class="hidden">Order</span>
          <select
            value={`${order} ${ascending ? "up" : "down"}`}
            onChange={(event) => {
              const [field = "", way] = event.currentTarget.value.split(" ");
              go({ order: field, ascending: way === "up" });
            }}
          >
            {orders(fields.value).map(([value, name]) => (
              <option key={value} value={value}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
    </div>
  );
}

/** What pictures can be in the order of: numbers and dates, either way. */
function orders(kinds: Record<string, string>): [string, string][] {
  const found: [string, string][] = [
    ["_indexed_at down", "Newest first"],
    ["_indexed_at up", "Oldest first"],
  ];
  for (const [field, kind] of Object.entries(kinds)) {
    if (field === "_indexed_at" || field.includes(" ")) continue;
    if (kind === "datetime") found.push([`${field} down`, `${fieldLabel(field)}, latest first`], [`${field} up`, `${fieldLabel(field)}, earliest first`]);
    if ((kind === "integer" || kind === "float") && (!field.startsWith("_") || field === "_bytes")) found.push([`${field} down`, `${fieldLabel(field)}, highest first`], [`${field} up`, `${fieldLabel(field)}, lowest first`]);
  }
  return found;
}

/** Below the pictures: that there is more, what went wrong, or that there is nothing. */
function Foot() {
  if (problem.value && !loading.value)
    return (
      <div class="empty is-problem">
        <p role="alert">{problem.value.detail.split("\n")[0]}</p>
        {problem.value.code !== "invalid-filter" && (
          <button type="button" onClick={() => void askAgain()}>
            Try again
          </button>
        )}
      </div>
    );
  if (loading.value) return <p class="empty" aria-hidden="true">{results.value.length ? "…" : ""}</p>;
  if (results.value.length || more.value) return null;
  if (searching.value && state.value.by === "details")
    return (
      <div class="empty">
        <p>
          <strong>No picture here contains it</strong>, as far as details can prove.
        </p>
        <button type="button" onClick={() => go({ by: "look" })}>
          Show what looks like it
        </button>
      </div>
    );
  if (filtered.value)
    return (
      <div class="empty">
        <p>No picture matches all of the filters.</p>
        <button type="button" onClick={clearFilters}>
          Clear filters
        </button>
      </div>
    );
  if (searching.value) return <p class="empty">Nothing like it here.</p>;
  if (working.value.length) return <Coming />;
  return (
    <div class="empty">
      <p>
        <strong>No pictures yet.</strong> Index a folder of them:
      </p>
      <pre>semblant index PICTURES --db DATABASE</pre>
      <p class="hint">{facts.value ? `The collection ${facts.value.name} is there and empty.` : ""}</p>
    </div>
  );
}

