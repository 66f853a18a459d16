// From–to of a field of numbers or dates, over a histogram of its values under everything else that is filtered.
import { useSignal, useSignalEffect } from "@preact/signals";
import { get } from "../api/call";
import type { Histogram } from "../api/models";
import { useAsked } from "../parts/asked";
import { type Range, chosenOf, go, state } from "../state/address";
import { daysLater, isDay } from "../state/days";
import { fieldLabel, shownValue } from "../state/names";
import { collection } from "../state/service";
import { whereOf } from "../state/where";
import { Calendar } from "./Calendar";

const OPEN: Range = ["", ""];
const HEIGHT = 44;

export function RangeFilter({ field }: { field: string }) {
  const where = whereOf(state.value, field);
  const asked = useAsked(JSON.stringify([collection.value, field, where]), (signal) => get("/v1/histogram", { field, where, bins: 32, collection: collection.peek() }, signal));
  const chosen = chosenOf(state.value.ranges, field) ?? OPEN;
  const draft = useSignal<Range>(chosen);
  useSignalEffect(() => {
    draft.value = chosenOf(state.value.ranges, field) ?? OPEN;
  });
  const { answer, error } = asked.value;
  if (error) return <p class="hint">{error}</p>;
  if (!answer) return <p class="hint">…</p>;
  if (!answer.bins.length) return <p class="hint">No picture here has one.</p>;

  const choose = (range: Range) => {
    const ranges = { ...state.peek().ranges };
    if (range[0] || range[1]) ranges[field] = range;
    else delete ranges[field];
    go({ ranges });
  };
  const dates = answer.kind === "datetime";
  return (
    <div class="range">
      <Bars histogram={answer} range={draft.value} onChoose={choose} />
      <Thumbs histogram={answer} field={field} range={draft.value} onDraft={(range) => (draft.value = range)} onChoose={choose} />
      <div class="range-ends">
        {([0, 1] as const).map((end) => (
          <input
            key={end}
            type={dates ? "date" : "number"}
            step="any"
            value={dates ? day_of(chosen[end]) : chosen[end]}
            placeholder={dates ? "" : String(end ? (answer.bins.at(-1)?.high ?? "") : (answer.bins[0]?.low ?? ""))}
            aria-label={`${fieldLabel(field)} ${end ? "to" : "from"}`}
            onChange={(event) => choose(end ? [chosen[0], event.currentTarget.value] : [event.currentTarget.value, chosen[1]])}
          />
        ))}
      </div>
      {dates && <Calendar field={field} range={chosen} latest={String(answer.bins.at(-1)?.low ?? "")} onChoose={choose} />}
    </div>
  );
}

function Bars({ histogram, range, onChoose }: { histogram: Histogram; range: Range; onChoose: (range: Range) => void }) {
  const { bins } = histogram;
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const width = 100 / bins.length;
  return (
    <svg class="bars" viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {bins.map((bin, place) => {
        // Few are seen beside many: the root, and a pixel at least.
        const high = bin.count ? Math.max(1.5, Math.sqrt(bin.count / most) * HEIGHT) : 0;
        const within = (!range[0] || place_of(bin.high) > place_of(range[0])) && (!range[1] || begins_within(bin.low, range[1]));
        return (
          <g key={place} onClick={() => onChoose([from(edge(bin.low)), to(edge(bin.high))])}>
            <title>{`${shownValue(bin.low, histogram.field)} – ${shownValue(bin.high, histogram.field)}: ${bin.count.toLocaleString()}`}</title>
            <rect x={place * width} y={0} width={width} height={HEIGHT} fill="transparent" />
            <rect class={within ? "is-within" : ""} x={place * width + 0.3} y={HEIGHT - high} width={Math.max(width - 0.6, 0.4)} height={high} />
          </g>
        );
      })}
    </svg>
  );
}

interface Sliding {
  histogram: Histogram;
  field: string;
  range: Range;
  onDraft: (range: Range) => void;
  onChoose: (range: Range) => void;
}

/** Two sliders over one line: from edge to edge of the bins. */
function Thumbs({ histogram, field, range, onDraft, onChoose }: Sliding) {
  const { bins } = histogram;
  const edges = [...bins.map((bin) => edge(bin.low)), edge(bins.at(-1)?.high ?? "")];
  const last = edges.length - 1;
  // Of a range that does not end with a bin, the whole bin is between the thumbs.
  const ends = isDay(range[1]) ? daysLater(range[1], 1) : range[1];
  const above = ends ? edges.findIndex((one) => place_of(one) >= place_of(ends)) : last;
  const below = range[0] ? edges.filter((one) => place_of(one) <= place_of(range[0])).length - 1 : 0;
  const places = [Math.max(below, 0), above < 0 ? last : above] as const;
  const slid = (end: 0 | 1, place: number): Range => {
    const low = end ? places[0] : Math.min(place, places[1]);
    const high = end ? Math.max(place, places[0]) : places[1];
    return [low === 0 ? "" : from(edges[low] ?? ""), high === last ? "" : to(edges[high] ?? "")];
  };
  return (
    <div class="thumbs">
      {([0, 1] as const).map((end) => (
        <input
          key={end}
          type="range"
          min={0}
          max={last}
          value={places[end]}
          aria-label={`${fieldLabel(field)} ${end ? "at most" : "at least"}`}
          aria-valuetext={shownValue(parsed(edges[places[end]] ?? ""), field)}
          onInput={(event) => onDraft(slid(end, Number(event.currentTarget.value)))}
          onChange={(event) => onChoose(slid(end, Number(event.currentTarget.value)))}
        />
      ))}
    </div>
  );
}

function edge(value: number | string): string {
  return String(value);
}

/** Where a range begins that begins with a bin: of a bin of whole days, at a day. */
function from(low: string): string {
  return low.endsWith("T00:00:00Z") ? low.slice(0, 10) : low;
}

/** Where a range ends that ends with a bin: of a bin of whole days, with the day before the next one. */
function to(high: string): string {
  if (high.startsWith("9999-12-31T")) return "9999-12-31"; // where dates end
  return high.endsWith("T00:00:00Z") ? daysLater(high.slice(0, 10), -1) : high;
}

/** As an input of dates takes it. */
function day_of(value: string): string {
  return isDay(value.slice(0, 10)) ? value.slice(0, 10) : "";
}

function begins_within(low: number | string, end: string): boolean {
  return isDay(end) ? place_of(low) < place_of(daysLater(end, 1)) : place_of(low) <= place_of(end);
}

function parsed(value: string): number | string {
  return value && Number.isFinite(Number(value)) ? Number(value) : value;
}

/** Numbers and dates on one line, to be compared. */
function place_of(value: number | string): number {
  const number = Number(value);
  return Number.isFinite(number) && value !== "" ? number : Date.parse(String(value));
}
