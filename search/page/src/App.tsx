// The page: its head, the filters beside what is shown, and what comes over it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Clusters } from "./clusters/Clusters";
import { keyAsked } from "./api/key";
import { Duplicates } from "./duplicates/Duplicates";
import { Filters, filtersShown } from "./filters/Filters";
import { Jobs } from "./jobs/Jobs";
import { MapTab } from "./map/MapTab";
import { Coming } from "./parts/Coming";
import { HelpDialog, KeyDialog, helping } from "./parts/Dialogs";
import { Icon } from "./parts/Icon";
import { Notices } from "./parts/Notices";
import { SelectionBar } from "./parts/SelectionBar";
import { Pictures } from "./pictures/Pictures";
import { takePictures } from "./query/ask";
import { SearchBar } from "./query/SearchBar";
import { EMPTY, type State, type View, filtered, go, href, searching, state } from "./state/address";
import { jobsKnown, working } from "./state/jobs";
import { about, missing, trouble } from "./state/service";
import { clearSelection, selecting } from "./state/selection";
import { Viewer } from "./viewer/Viewer";

const VIEWS: readonly (readonly [View, string])[] = [
  ["pictures", "Pictures"],
  ["map", "Map"],
  ["clusters", "Clusters"],
  ["duplicates", "Duplicates"],
  ["jobs", "Jobs"],
];

export function App() {
  const dragging = useSignal(false);
  useEffect(() => takePictures((over) => (dragging.value = over)), []);
  useEffect(() => {
    addEventListener("keydown", shortcuts);
    return () => removeEventListener("keydown", shortcuts);
  }, []);
  const { view, open, collection } = state.value;
  const filters = filtersShown.value && !missing.value && view !== "jobs" && view !== "clusters";
  return (
    <div class={`page${filters ? " with-filters" : ""}${view === "map" ? " with-map" : ""}`}>
      <a class="skip" href="#main">
        To the pictures
      </a>
      <header class="head">
        <Link class="brand" to={{ ...EMPTY, collection }} label="Semblant: all pictures">
          <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
            <rect x="2" y="6" width="17" height="17" rx="4" class="brand-back" />
            <rect x="12" y="10" width="17" height="17" rx="4" class="brand-front" />
          </svg>
          <span>Semblant</span>
        </Link>
        <SearchBar />
        <nav class="views" aria-label="Views">
          {VIEWS.map(([name, label]) => (
            <Link key={name} to={elsewhere(name)} current={view === name}>
              {label}
              {name === "jobs" && working.value.length > 0 && <span class="working">{percent()}</span>}
            </Link>
          ))}
        </nav>
        <button type="button" class={`icon-button${filtered.value ? " is-on" : ""}`} aria-label="Filters" aria-expanded={filters} title="Filters (f)" onClick={() => (filtersShown.value = !filtersShown.value)}>
          <Icon name="filter" />
        </button>
        <button type="button" class="icon-button for-keys" aria-label="Keys" title="Keys (?)" onClick={() => (helping.value = true)}>
          <Icon name="help" />
        </button>
      </header>
      {filters && <Filters />}
      <main id="main" tabIndex={-1}>
        {trouble.value && !keyAsked.value ? <Trouble /> : <Shown view={view} />}
      </main>
      {open && <Viewer />}
      <SelectionBar />
      {!open && <Notices />}
      {keyAsked.value && <KeyDialog key={keyAsked.value} />}
      {helping.value && <HelpDialog />}
      {dragging.value && (
        <div class="dropping">
          <Icon name="upload" /> Drop it to find what looks like it
        </div>
      )}
    </div>
  );
}

function Shown({ view }: { view: View }) {
  if (view === "map") return <MapTab />;
  if (view === "clusters") return <Clusters />;
  if (view === "duplicates") return <Duplicates />;
  return view === "jobs" ? <Jobs /> : <Pictures />;
}

/** A view begins at its beginning; but from the pictures to the map and back, the same ones are shown. */
function elsewhere(view: View): State {
  const { collection } = state.value;
  const both: readonly View[] = ["pictures", "map"];
  return both.includes(view) && both.includes(state.value.view) && view !== state.value.view ? { ...state.value, view, open: "" } : { ...EMPTY, collection, view };
}

/** Why nothing is shown: there is no collection, or not yet. */
function Trouble() {
  if (!missing.value) return <p class="empty is-problem" role="alert">{trouble.value}</p>;
  if (working.value.length) return <Coming />;
  if (!jobsKnown.value) return null;
  return (
    <div class="empty" role="status">
      <strong>{about.value?.scope === "admin" ? "There are no pictures here yet" : trouble.value}</strong>
      <p>This page shows them as soon as they are indexed.</p>
    </div>
  );
}

/** How far the jobs at work are. */
function percent(): string {
  const { done, total, phase } = working.value[0]?.progress ?? {};
  return phase === "index" && total ? `${Math.floor((100 * (done ?? 0)) / total)} %` : "…";
}

interface LinkProps {
  to: typeof EMPTY;
  current?: boolean;
  label?: string;
  class?: string;
  children: preact.ComponentChildren;
}

/** A link within the page, that opens in another tab as any link does. */
function Link({ to, current = false, label, children, ...others }: LinkProps) {
  return (
    <a
      {...others}
      href={href(to)}
      aria-label={label}
      aria-current={current ? "page" : undefined}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go(to);
      }}
    >
      {children}
    </a>
  );
}

function shortcuts(event: KeyboardEvent): void {
  const writing = event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && (event.target as HTMLInputElement).type !== "checkbox";
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (writing) (event.target as HTMLElement).blur();
    else if (selecting.peek()) clearSelection();
    else if (filtersShown.peek() && window.innerWidth < 1000) filtersShown.value = false;
    else if (searching.peek()) go({ like: [], unlike: [], region: [], by: "look", diversity: 0 });
    return;
  }
  if (writing) return;
  const acts: Record<string, () => void> = {
    "/": () => document.getElementById("filter")?.focus(),
    f: () => (filtersShown.value = !filtersShown.peek()),
    "?": () => (helping.value = true),
    ArrowDown: () => document.querySelector<HTMLElement>('.tile a[tabindex="0"]')?.focus({ preventScroll: true }),
  };
  const act = document.activeElement?.closest(".grid") && event.key === "ArrowDown" ? undefined : acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
