// How things are called on the page: files, values, sizes, and how alike pictures are.
import type { Shown } from "../api/models";

const OWN_FIELDS: Record<string, string> = {
  _width: "Width",
  _height: "Height",
  _format: "Format",
  _bytes: "File size",
  _indexed_at: "Indexed",
  _taken_at: "Taken",
  _camera: "Camera",
  _place: "Place",
  _uri: "Address",
  _cluster: "Cluster",
  _outlier: "Outlier",
};

export function fieldLabel(field: string): string {
  return (Object.hasOwn(OWN_FIELDS, field) && OWN_FIELDS[field]) || field.replace(/^_/, "").replaceAll("_", " ");
}

/** `a picture.jpg` of `file:///pictures/a%20picture.jpg`. */
export function fileName(uri: string): string {
  return decoded(uri.replace(/\/+$/, "").split("/").pop() ?? uri);
}

export function folderOf(uri: string): string {
  return uri.slice(0, uri.lastIndexOf("/") + 1);
}

/** A URI as a person writes it: a path, where it is a file. */
export function shownUri(uri: string): string {
  return uri.startsWith("file://") ? decoded(uri.slice(7)) : uri;
}

export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // bytes that are no UTF-8
  }
}

export function shownValue(value: unknown, field = ""): string {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.map((one) => shownValue(one, field)).join(", ");
  if (field === "_bytes" && typeof value === "number") return bytes(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return shownNumber(value);
  if (typeof value === "object") return Object.entries(value as object).map(([name, one]) => `${name} ${shownValue(one)}`).join(", ");
  const text = String(value);
  return /^\d{4}-\d\d-\d\dT/.test(text) ? moment(text) : text;
}

/** Four digits behind the point are enough, but of numbers that they would show as 0, or that would be long rows of digits. */
function shownNumber(value: number): string {
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e16)) return value.toLocaleString(undefined, { notation: "scientific", maximumSignificantDigits: 4 });
  return value.toLocaleString(undefined, { maximumFractionDigits: 4 });
}

export function moment(text: string): string {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function bytes(count: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = Math.min(Math.max(0, Math.floor(Math.log10(Math.max(count, 1)) / 3)), 3);
  return `${(count / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

const MOST_BRIEF = 3;

/** What is said about a picture at a glance, labels and values: of its owner's fields the first, then what the camera noted. */
export function brief({ metadata, facts }: Pick<Shown, "metadata" | "facts">): [label: string, value: string][] {
  const noted = ["_taken_at", "_camera"].map((field): [string, unknown] => [field, facts[field]]);
  return [...Object.entries(metadata), ...noted, ["size", `${facts["_width"]} × ${facts["_height"]}`] as [string, unknown]]
    .filter(([, value]) => value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && !value.length))
    .slice(0, MOST_BRIEF)
    .map(([field, value]) => [fieldLabel(field), shownValue(value, field)]);
}

const VERDICTS: Record<string, string> = {
  copy: "A copy",
  "rotated/scaled": "Turned or scaled",
  crop: "Contains all of it",
  contains: "A part of it",
  "shared part": "A shared part",
  lookalike: "Some details agree",
  none: "Not proven",
};

/** How alike a hit is, in words: by how often chance would find as much, or by what its details prove. */
export function likeness(hit: Shown): string {
  if (hit.verdict) return VERDICTS[hit.verdict] ?? hit.verdict;
  if (hit.score === undefined) return "";
  const sure = hit.probability;
  if (sure === null || sure === undefined) return "";
  if (sure >= 0.99) return "Very alike";
  if (sure >= 0.9) return "Alike";
  return sure >= 0.5 ? "Somewhat alike" : "Faintly alike";
}

export function score(hit: Shown): string {
  if (hit.verdict) return hit.probability === null || hit.probability === undefined ? "" : `${(hit.probability * 100).toFixed(hit.probability > 0.999 ? 1 : 0)} %`;
  return hit.score === undefined ? "" : hit.score.toFixed(2);
}
