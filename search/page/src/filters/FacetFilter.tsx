// The values of a field with their counts under everything else that is filtered; any number of them may be chosen.
import { useSignal } from "@preact/signals";
import { get } from "../api/call";
import { useAsked } from "../parts/asked";
import { chosenOf, go, state } from "../state/address";
import { shownValue } from "../state/names";
import { collection } from "../state/service";
import { whereOf } from "../state/where";

const FEW = 8;
const MANY = 500;

export function FacetFilter({ field }: { field: string }) {
  const where = whereOf(state.value, field);
  const limit = useSignal(FEW + 1);
  const asked = useAsked(JSON.stringify([collection.value, field, where, limit.value]), (signal) => get("/v1/facets", { field, where, limit: limit.peek(), collection: collection.peek() }, signal));
  const chosen = chosenOf(state.value.values, field) ?? [];
  const { answer, error } = asked.value;
  if (error) return <p class="hint">{error}</p>;
  if (!answer) return <p class="hint">…</p>;

  const listed = answer.values.map((one) => ({ json: JSON.stringify(one.value), value: one.value, count: one.count }));
  const all = limit.value === MANY;
  const few = all ? listed : listed.slice(0, FEW);
  // A value that was chosen and is not among the frequent ones is there all the same.
  const others = chosen.filter((json) => !few.some((one) => one.json === json)).map((json) => ({ json, value: parsed(json), count: 0 }));
  const choose = (json: string, on: boolean) => {
    const values = { ...state.peek().values };
    const next = on ? [...chosen, json] : chosen.filter((one) => one !== json);
    if (next.length) values[field] = next;
    else delete values[field];
    go({ values });
  };
  if (!listed.length && !others.length) return <p class="hint">No picture here has one.</p>;
  return (
    <>
      <ul class={`facet${all ? " is-long" : ""}`}>
        {[...few, ...others].map(({ json, value, count }) => (
          <li key={json}>
            <label>
              <input type="checkbox" checked={chosen.includes(json)} onChange={(event) => choose(json, event.currentTarget.checked)} />
              <bdi>{shownValue(value, field)}</bdi>
              <span class="count">{count ? count.toLocaleString() : ""}</span>
            </label>
          </li>
        ))}
      </ul>
      {listed.length > FEW && (
        <button type="button" class="quiet" onClick={() => (limit.value = all ? FEW + 1 : MANY)}>
          {all ? "Fewer" : "More…"}
        </button>
      )}
    </>
  );
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
