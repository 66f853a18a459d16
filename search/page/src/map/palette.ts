// Colours by OKLCH (Ottosson, 2020): all equally light, so that none is louder than another.
import { type Colours, NONE, OTHER } from "./columns";

export type Rgb = readonly [number, number, number];

/** 256 colours by their index, each 0–255. */
export function paletteOf(colours: Colours | null, dark: boolean): readonly Rgb[] {
  const grey = oklch(dark ? 0.55 : 0.7, 0, 0);
  const found: Rgb[] = Array.from({ length: 256 }, () => grey);
  if (!colours) return found.map(() => oklch(dark ? 0.74 : 0.58, 0.13, 275));
  if (colours.kind === "ramp") {
    for (let step = 0; step < colours.steps; step += 1) {
      const share = step / Math.max(colours.steps - 1, 1);
      found[step] = oklch((dark ? 0.42 : 0.82) + share * (dark ? 0.44 : -0.44), 0.09 + 0.07 * Math.sin(Math.PI * share), 255 - 215 * share);
    }
  } else {
    // Neighbouring numbers are far apart in hue, and every other round of the circle is a little lighter.
    colours.legend.forEach((_, place) => (found[place] = categorical(place, dark)));
  }
  found[OTHER] = oklch(dark ? 0.6 : 0.62, 0.02, 270);
  found[NONE] = grey;
  return found;
}

const HUES = [275, 45, 155, 345, 95, 215, 15, 125, 310, 70, 185, 245];

function categorical(place: number, dark: boolean): Rgb {
  const hue = (HUES[place % HUES.length] ?? 0) + 11 * Math.floor(place / HUES.length);
  const step = Math.floor(place / HUES.length) % 3;
  const light = (dark ? 0.74 : 0.62) + [0, -0.12, 0.1][step]!;
  return oklch(light, step === 0 ? 0.155 : 0.12, hue);
}

export function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

function oklch(light: number, chroma: number, hue: number): Rgb {
  const angle = (hue * Math.PI) / 180;
  const a = chroma * Math.cos(angle);
  const b = chroma * Math.sin(angle);
  const l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (light - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [channel(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s), channel(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s), channel(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s)];
}

function channel(linear: number): number {
  const bounded = Math.min(Math.max(linear, 0), 1);
  return Math.round(255 * (bounded <= 0.0031308 ? 12.92 * bounded : 1.055 * bounded ** (1 / 2.4) - 0.055));
}
