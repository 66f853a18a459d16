// What there is to filter by: folders, the owner's fields, and what Semblant noted of every picture.
import { signal } from "@preact/signals";
import { Icon } from "../parts/Icon";
import { filtered, go, state } from "../state/address";
import { fieldLabel } from "../state/names";
import { fields } from "../state/service";
import { FacetFilter } from "./FacetFilter";
import { FolderFilter } from "./FolderFilter";
import { PlaceFilter } from "./PlaceFilter";
import { RangeFilter } from "./RangeFilter";

const OWN = ["_taken_at", "_place", "_camera", "_format", "_width", "_height", "_bytes", "_indexed_at"];
const OPEN_AT_FIRST = 5;

/** Whether the filters are beside the pictures; on a small screen, over them. */
export const filtersShown = signal(window.innerWidth >= 1000);

export function clearFilters(): void {
  go({ folder: "", values: {}, ranges: {}, places: {}, where: "", lasso: [] });
}

export function Filters() {
  const kinds = fields.value;
  const theirs = Object.keys(kinds)
    .filter((field) => !field.startsWith("_"))
    .sort();
  const own = OWN.filter((field) => field in kinds);
  return (
    <aside class="filters" aria-label="Filters">
      <header>
        <h2>Filter</h2>
        {filtered.value && (
          <button type="button" class="quiet" onClick={clearFilters}>
            Clear all
          </button>
        )}
        <button type="button" class="icon-button filters-close" aria-label="Close the filters" onClick={() => (filtersShown.value = false)}>
          <Icon name="close" />
        </button>
      </header>
      <FolderFilter />
      {theirs.map((field, place) => (
        <FieldFilter key={field} field={field} kind={kinds[field] ?? ""} open={place < OPEN_AT_FIRST} />
      ))}
      {own.map((field) => (
        <FieldFilter key={field} field={field} kind={kinds[field] ?? ""} open={theirs.length === 0 && (field === "_taken_at" || field === "_format")} />
      ))}
    </aside>
  );
}

function FieldFilter({ field, kind, open }: { field: string; kind: string; open: boolean }) {
  const { values, ranges, places } = state.value;
  const chosen = [values, ranges, places].some((one) => Object.hasOwn(one, field));
  const Kind = kind === "geo" ? PlaceFilter : kind === "keyword" || kind === "bool" ? FacetFilter : RangeFilter;
  return <Section name={fieldLabel(field)} open={open || chosen} chosen={chosen}>{() => <Kind field={field} />}</Section>;
}

/** A part that can be folded; what is in it is asked for only once it is open. */
export function Section({ name, open, chosen, children }: { name: string; open: boolean; chosen: boolean; children: () => preact.ComponentChildren }) {
  const opened = opens(name, open);
  return (
    <details class="filter" open={opened.value} onToggle={(event) => (opened.value = event.currentTarget.open)}>
      <summary>
        <bdi>{name}</bdi>
        {chosen && <span class="dot" aria-label="filtered" role="img" />}
      </summary>
      {opened.value && children()}
    </details>
  );
}

const folds = new Map<string, ReturnType<typeof signal<boolean>>>();

function opens(name: string, open: boolean) {
  let known = folds.get(name);
  if (!known) folds.set(name, (known = signal(open)));
  return known;
}
