// The field at the top: a filter is typed into it, or a name; beside it, a picture is picked or photographed.
import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { get, isAborted, messageOf, ServiceProblem } from "../api/call";
import { Icon } from "../parts/Icon";
import { go, state } from "../state/address";
import { problem } from "../state/results";
import { collection, fields } from "../state/service";
import { askWith } from "./ask";
import { asFilter, asTyped } from "./typed";

interface Fault {
  detail: string;
  column: number | null;
}

function faultOf(error: unknown): Fault {
  return { detail: messageOf(error), column: error instanceof ServiceProblem ? (error.problem.column ?? null) : null };
}

export function SearchBar() {
  const typed = useSignal("");
  const fault = useSignal<Fault | null>(null);
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const asks = useRef(0);
  useSignalEffect(() => {
    typed.value = asTyped(state.value.where, fields.peek());
    fault.value = null;
  });
  // An address may hold a filter with a fault, too.
  useSignalEffect(() => {
    const { where } = state.peek();
    if (problem.value?.code !== "invalid-filter" || !where) return;
    get("/v1/count", { where, collection: collection.peek() }).catch((error: unknown) => {
      if (state.peek().where !== where || isAborted(error)) return;
      typed.value = where;
      fault.value = faultOf(error);
    });
  });

  const submit = async (event: Event) => {
    event.preventDefault();
    const words = typed.peek();
    const where = asFilter(words, fields.peek());
    const before = state.peek().where;
    const ask = (asks.current += 1);
    // Meanwhile something else may have been asked for, or nothing any more.
    const late = () => ask !== asks.current || state.peek().where !== before;
    fault.value = null;
    try {
      if (where) await get("/v1/count", { where, collection: collection.peek() });
      if (late()) return;
      const { view } = state.peek();
      const now = typed.peek();
      go({ where, view: view === "map" ? view : "pictures", open: "" });
      if (now !== words) typed.value = now; // typing went on
    } catch (error) {
      if (isAborted(error) || late() || typed.peek() !== words) return;
      if (error instanceof ServiceProblem && error.problem.code === "invalid-filter") typed.value = where;
      fault.value = faultOf(error);
    }
  };
  const pick = (event: Event & { currentTarget: HTMLInputElement }) => {
    void askWith([...(event.currentTarget.files ?? [])]);
    event.currentTarget.value = "";
  };
  return (
    <form class="search-bar" role="search" onSubmit={(event) => void submit(event)}>
      <div class={`search-field${fault.value ? " is-wrong" : ""}`}>
        <input
          id="filter"
          type="search"
          value={typed.value}
          placeholder={'Name, or a filter: price < 100 and label == "Shoe"'}
          aria-label="Filter by name or expression"
          aria-invalid={fault.value !== null}
          aria-describedby={fault.value ? "filter-fault" : undefined}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          onInput={(event) => {
            typed.value = event.currentTarget.value;
            fault.value = null;
            if (!typed.value) asks.current += 1;
            if (!typed.value && state.peek().where) go({ where: "" });
          }}
        />
        <button type="button" class="search-picture" title="Search by a picture: drop it, paste it, or pick it" aria-label="Search by a picture" onClick={() => picker.current?.click()}>
          <Icon name="upload" /> <span>Picture</span>
        </button>
        <button type="button" class="search-camera" aria-label="Search by a photograph" onClick={() => camera.current?.click()}>
          <Icon name="camera" />
        </button>
      </div>
      {fault.value && (
        <div class="search-fault" id="filter-fault" role="alert">
          {fault.value.column !== null && (
            <pre aria-hidden="true">
              {typed.value}
              {"\n"}
              <b>{" ".repeat(Math.min(fault.value.column, typed.value.length))}↑</b>
            </pre>
          )}
          {fault.value.detail}
        </div>
      )}
      <input ref={picker} type="file" accept="image/*,.heic,.heif" multiple hidden tabIndex={-1} aria-hidden="true" data-role="pick" onChange={pick} />
      <input ref={camera} type="file" accept="image/*" capture="environment" hidden tabIndex={-1} aria-hidden="true" onChange={pick} />
    </form>
  );
}
