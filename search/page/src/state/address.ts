// What is shown is what the address says: one value, read from it and written to it. Back and forward are undo and redo.
import { computed, signal } from "@preact/signals";

export const VIEWS = ["pictures", "map", "clusters", "duplicates", "jobs"] as const;
export type View = (typeof VIEWS)[number];
/** A place of the map: `_x`, `_y`. */
export type Place = readonly [x: number, y: number];
export type Range = readonly [low: string, high: string];
/** Degrees. */
export type Rectangle = readonly [south: number, west: number, north: number, east: number];

export interface State {
  view: View;
  collection: string;
  /** Examples to be like: ids of pictures, or `upload:…`. */
  like: readonly string[];
  unlike: readonly string[];
  /** The part of the one example that is looked for: x, y, width, height in its pixels. */
  region: readonly number[];
  by: "look" | "details";
  /** 0–1, how much hits differ among each other. */
  diversity: number;
  folder: string;
  /** Chosen values of fields, each as JSON. */
  values: Readonly<Record<string, readonly string[]>>;
  /** Chosen ranges of numbers and dates; an empty end is open. */
  ranges: Readonly<Record<string, Range>>;
  /** Chosen rectangles of fields of places. */
  places: Readonly<Record<string, Rectangle>>;
  where: string;
  /** What was drawn around on the map: pictures that lie within are chosen. */
  lasso: readonly Place[];
  order: string;
  ascending: boolean;
  /** The picture in the viewer. */
  open: string;
  /** The field that the map is coloured by. */
  colour: string;
  /** What part of the map is seen: x, y, and how many times the whole; empty for the whole. */
  at: readonly number[];
}

export const EMPTY: State = {
  view: "pictures",
  collection: "",
  like: [],
  unlike: [],
  region: [],
  by: "look",
  diversity: 0,
  folder: "",
  values: {},
  ranges: {},
  places: {},
  where: "",
  lasso: [],
  order: "_indexed_at",
  ascending: false,
  open: "",
  colour: "",
  at: [],
};

export const state = signal(parse(location.search));
addEventListener("popstate", () => {
  state.value = parse(location.search);
});

export const searching = computed(() => state.value.like.length + state.value.unlike.length > 0);
export const filtered = computed(() => {
  const { folder, values, ranges, places, where, lasso } = state.value;
  return folder !== "" || where !== "" || lasso.length > 0 || Object.keys(values).length + Object.keys(ranges).length + Object.keys(places).length > 0;
});

/** What is chosen of a field, whatever it is called. */
export function chosenOf<T>(choices: Readonly<Record<string, T>>, field: string): T | undefined {
  return Object.hasOwn(choices, field) ? choices[field] : undefined;
}

/** Show something else. It is a step to come back from, unless it `replaces` the one before. */
export function go(change: Partial<State>, replaces = false): void {
  const next = { ...state.value, ...change };
  const link = href(next);
  if (link === href(state.value)) return;
  history[replaces ? "replaceState" : "pushState"](null, "", link);
  state.value = next;
}

/** The address of a state, for links: they open in new tabs, too. */
export function href(next: State): string {
  const words = new URLSearchParams();
  const put = (name: string, value: string) => value && words.append(name, value);
  put("view", next.view === "pictures" ? "" : next.view);
  put("collection", next.collection);
  next.like.forEach((one) => put("like", one));
  next.unlike.forEach((one) => put("unlike", one));
  put("region", next.region.join(","));
  put("by", next.by === "look" ? "" : next.by);
  put("diversity", next.diversity ? String(next.diversity) : "");
  put("folder", next.folder);
  for (const [field, values] of Object.entries(next.values)) values.forEach((one) => put(`in.${field}`, one));
  for (const [field, [low, high]] of Object.entries(next.ranges)) put(`range.${field}`, `${low}..${high}`);
  for (const [field, sides] of Object.entries(next.places)) put(`place.${field}`, sides.join(","));
  put("where", next.where);
  put("lasso", next.lasso.map((place) => place.map(short).join(",")).join(" "));
  put("order", next.order === EMPTY.order ? "" : next.order);
  put("ascending", next.ascending ? "1" : "");
  put("open", next.open);
  put("colour", next.colour);
  put("at", next.at.map(short).join(","));
  return words.size ? `?${words}` : location.pathname;
}

export function parse(search: string): State {
  const words = new URLSearchParams(search);
  const text = (name: string) => words.get(name) ?? "";
  // Without a prototype: a field may be called `constructor`, and an address may say anything.
  const values = Object.create(null) as Record<string, string[]>;
  const ranges = Object.create(null) as Record<string, Range>;
  const places = Object.create(null) as Record<string, Rectangle>;
  for (const [name, value] of words) {
    if (name.startsWith("in.")) (values[name.slice(3)] ??= []).push(value);
    const ends = name.startsWith("range.") ? value.split("..") : [];
    const sides = name.startsWith("place.") ? value.split(",").map(Number) : [];
    if (sides.length === 4 && sides.every(Number.isFinite)) places[name.slice(6)] = sides as unknown as Rectangle;
    if (ends.length === 2) ranges[name.slice(6)] = [ends[0] ?? "", ends[1] ?? ""];
  }
  const numbers = (name: string, count: number) => {
    const found = text(name).split(",").map(Number);
    return found.length === count && found.every(Number.isFinite) ? found : [];
  };
  const lasso = text("lasso")
    .split(" ")
    .map((one) => one.split(",").map(Number))
    .filter((one) => one.length === 2 && one.every(Number.isFinite)) as unknown as Place[];
  const diversity = Number(text("diversity"));
  return {
    ...EMPTY,
    view: VIEWS.find((one) => one === text("view")) ?? "pictures",
    collection: text("collection"),
    like: words.getAll("like"),
    unlike: words.getAll("unlike"),
    region: numbers("region", 4),
    by: text("by") === "details" ? "details" : "look",
    diversity: diversity > 0 && diversity <= 1 ? diversity : 0,
    folder: text("folder"),
    values,
    ranges,
    places,
    where: text("where"),
    lasso: lasso.length > 2 ? lasso : [],
    order: text("order") || EMPTY.order,
    ascending: text("ascending") === "1",
    open: text("open"),
    colour: text("colour"),
    at: numbers("at", 3),
  };
}

/** A number as short as the address needs it. */
function short(value: number): string {
  return String(Number(value.toPrecision(5)));
}
