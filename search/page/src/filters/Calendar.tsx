// A month of a field of dates: how many pictures each day has, and the days that are chosen.
import { useSignal, useSignalEffect } from "@preact/signals";
import { get } from "../api/call";
import { useAsked } from "../parts/asked";
import { Icon } from "../parts/Icon";
import { type Range, chosenOf, state } from "../state/address";
import { FIRST_MONTH, LAST_MONTH, firstOfWeek, lastOf, monthOf, monthsLater, shownDay, shownMonth, weeksOf } from "../state/days";
import { fieldLabel } from "../state/names";
import { collection } from "../state/service";
import { fieldName, text, upTo, whereOf } from "../state/where";

const SHADES = 4;
const NOTHING: Range = ["", ""];

interface Chosen {
  field: string;
  range: Range;
  /** The month that is shown before one is chosen. */
  latest: string;
  onChoose: (range: Range) => void;
}

export function Calendar({ field, range, latest, onChoose }: Chosen) {
  const month = useSignal(monthOf(range[1], range[0], latest) ?? new Date().toISOString().slice(0, 7));
  useSignalEffect(() => {
    const [low, high] = chosenOf(state.value.ranges, field) ?? NOTHING;
    month.value = monthOf(high, low) ?? month.peek(); // by the other inputs, or a step back
  });
  const first = `${month.value}-01`;
  const last = lastOf(month.value);
  const within = [whereOf(state.value, field), `${fieldName(field)} >= date(${text(first)})`, `${fieldName(field)} ${upTo(last)}`].filter(Boolean).join(" and ");
  const asked = useAsked(JSON.stringify([collection.value, field, within]), (signal) => get("/v1/histogram", { field, where: within, bins: 31, collection: collection.peek() }, signal));
  const counts = new Map<string, number>();
  for (const bin of asked.value.answer?.bins ?? []) {
    const day = String(bin.low).slice(0, 10); // bins of a few days are hours
    counts.set(day, (counts.get(day) ?? 0) + bin.count);
  }
  const most = Math.max(...counts.values(), 1);
  const weeks = weeksOf(month.value, firstOfWeek());
  const choose = (day: string, more: boolean) => {
    const [low, high] = range;
    if (more && low) onChoose(day < low ? [day, high || low] : [low, day]);
    else onChoose(low === day && high === day ? NOTHING : [day, day]);
  };
  return (
    <div class="calendar">
      <header>
        <button type="button" class="icon-button" aria-label="The month before" disabled={month.value === FIRST_MONTH} onClick={() => (month.value = monthsLater(month.value, -1))}>
          <Icon name="left" />
        </button>
        <button type="button" class="quiet" title="All of this month" onClick={() => onChoose([first, last])}>
          {shownMonth(month.value)}
        </button>
        <button type="button" class="icon-button" aria-label="The month after" disabled={month.value === LAST_MONTH} onClick={() => (month.value = monthsLater(month.value, 1))}>
          <Icon name="right" />
        </button>
      </header>
      <table aria-label={`${fieldLabel(field)}, ${shownMonth(month.value)}`}>
        <thead>
          <tr>
            {(weeks[1] ?? []).map((day) => (
              <th key={day} scope="col">
                {day && new Date(day).toLocaleDateString(undefined, { weekday: "narrow", timeZone: "UTC" })}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeks.map((week, place) => (
            <tr key={place}>
              {week.map((day, column) => (
                <td key={column}>{day && <Day day={day} count={counts.get(day) ?? 0} most={most} range={range} onChoose={choose} />}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Day({ day, count, most, range, onChoose }: { day: string; count: number; most: number; range: Range; onChoose: (day: string, more: boolean) => void }) {
  const chosen = (range[0] || range[1]) !== "" && (!range[0] || day >= range[0].slice(0, 10)) && (!range[1] || day <= range[1].slice(0, 10));
  const shade = count ? Math.ceil(Math.sqrt(count / most) * SHADES) : 0; // few are seen beside many
  const label = `${shownDay(day)}: ${count === 1 ? "one picture" : `${count.toLocaleString()} pictures`}`;
  return (
    <button type="button" class={`day shade-${shade}`} aria-pressed={chosen} aria-label={label} title={`${label} (Shift: up to this day)`} onClick={(event) => onChoose(day, event.shiftKey)}>
      {Number(day.slice(8))}
    </button>
  );
}
