// What is saved as a file: lists that are made here of what is known already, and files that the service gave.
import type { Picture, Shown } from "../api/models";
import { shownUri } from "../state/names";

export function save(name: string, kind: string, parts: string): void {
  saveBlob(name, new Blob([parts], { type: `${kind};charset=utf-8` }));
}

export function saveBlob(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A table as RFC 4180 describes it: the picture, its score where it has one, and its metadata. */
export function csvOf(pictures: readonly Shown[]): string {
  const fields = [...new Set(pictures.flatMap((one) => Object.keys(one.metadata)))].sort();
  const scored = pictures.some((one) => one.score !== undefined);
  const rows = [["file", "uri", "width", "height", ...(scored ? ["score", "probability"] : []), ...fields]];
  for (const one of pictures) {
    const given = fields.map((field) => plain(one.metadata[field]));
    rows.push([shownUri(one.uri), one.uri, plain(one.facts["_width"]), plain(one.facts["_height"]), ...(scored ? [plain(one.score), plain(one.probability)] : []), ...given]);
  }
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** One path or address a line. */
export function listOf(pictures: readonly Pick<Picture, "uri">[]): string {
  return pictures.map((one) => `${shownUri(one.uri)}\n`).join("");
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Quoted where it must be; what a spreadsheet would take for a formula is text. */
function cell(value: string): string {
  const safe = /^[=+\-@\t]/.test(value) && !Number.isFinite(Number(value)) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
