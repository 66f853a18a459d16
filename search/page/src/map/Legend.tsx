// What the colours mean; a value that is clicked filters.
import { useSignal } from "@preact/signals";
import { fieldLabel, shownValue } from "../state/names";
import { chooseValue, isChosen } from "./choosing";
import { type Colours, NONE, OTHER } from "./columns";
import { type Rgb, css } from "./palette";

interface Props {
  palette: readonly Rgb[];
  colours: Colours;
  /** What else is to be said. */
  said: string;
}

export function Legend({ palette, colours, said }: Props) {
  const open = useSignal(window.innerWidth >= 700);
  const dot = (place: number) => <Dot colour={palette[place]} />;
  return (
    <aside class="map-legend" aria-label="Legend">
      <details open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>
          <bdi>{fieldLabel(colours.field)}</bdi>
        </summary>
        {colours.kind === "ramp" ? (
          <div class="map-ramp">
            <svg viewBox={`0 0 ${colours.steps} 1`} preserveAspectRatio="none" aria-hidden="true">
              {Array.from({ length: colours.steps }, (_, step) => (
                <rect key={step} x={step} y={0} width={1.05} height={1} fill={css(palette[step] ?? [128, 128, 128])} />
              ))}
            </svg>
            <span>{shownValue(colours.low, colours.field)}</span>
            <span>{shownValue(colours.high, colours.field)}</span>
          </div>
        ) : (
          <ul tabIndex={0} aria-label="Values">
            {colours.legend.map((one, place) => (
              <li key={String(one.value)}>
                <button type="button" aria-pressed={isChosen(colours.field, one.value)} onClick={() => chooseValue(colours.field, one.value)}>
                  {dot(place)}
                  <bdi>{one.label}</bdi>
                  <span class="count">{one.count.toLocaleString()}</span>
                </button>
              </li>
            ))}
            {[
              [OTHER, "others", colours.other] as const,
              [NONE, "without a value", colours.none] as const,
            ].map(
              ([place, label, count]) =>
                count > 0 && (
                  <li key={place} class="map-rest">
                    {dot(place)}
                    {label}
                    <span class="count">{count.toLocaleString()}</span>
                  </li>
                ),
            )}
          </ul>
        )}
        {said && <p class="hint">{said}</p>}
      </details>
    </aside>
  );
}

export function Dot({ colour = [128, 128, 128] }: { colour: Rgb | undefined }) {
  return (
    <svg class="map-dot" viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
      <circle cx="5" cy="5" r="5" fill={css(colour)} />
    </svg>
  );
}
