// The pictures behind the examples of a search: those of the collection and those that were dropped here.
import { useEffect, useState } from "preact/hooks";
import { get, getBlob, withQuery } from "../api/call";
import { key } from "../api/key";
import type { Picture } from "../api/models";
import { thumbnailAddress } from "../grid/Thumbnail";
import { results } from "../state/results";
import { about, collection } from "../state/service";
import { isUpload, upload } from "../state/uploads";

/** A picture to be drawn: its address for an `<img>`, its size in its own pixels, and what it is called. */
export interface Drawable {
  url: string;
  width: number;
  height: number;
  /** Of the collection; null for one that was dropped here. */
  picture: Picture | null;
}

const known = new Map<string, Picture>();

/** A picture of the collection, whether or not it is among the results. */
export async function pictureOf(id: string): Promise<Picture> {
  const shown = results.peek().find((one) => one.id === id) ?? known.get(id);
  if (shown) return shown;
  const found = await get(`/v1/pictures/${encodeURIComponent(id)}` as "/v1/pictures/{id}", { collection: collection.peek() });
  known.set(id, found);
  return found;
}

/** Where the service gives out the picture's own file. */
export function originalAddress(picture: Pick<Picture, "id">): string {
  return withQuery(`v1/pictures/${picture.id}/original`, { collection: collection.peek() });
}

/** After a change: what was known may be another now. */
export function forget(id: string): void {
  known.delete(id);
}

/** The example's picture, about so large; null while it is loading, an error where there is none. */
export function useDrawable(example: string, size: number): Drawable | Error | null {
  const [drawn, setDrawn] = useState<Drawable | Error | null>(null);
  useEffect(() => {
    let gone = false;
    let made = "";
    setDrawn(null);
    const load = async () => {
      const { found, blob } = await drawable(example, size);
      if (blob) made = found.url;
      if (gone) URL.revokeObjectURL(made);
      else setDrawn(found);
    };
    load().catch((error: unknown) => !gone && setDrawn(error instanceof Error ? error : new Error(String(error))));
    return () => {
      gone = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [example, size]);
  return drawn;
}

async function drawable(example: string, size: number): Promise<{ found: Drawable; blob: boolean }> {
  if (isUpload(example)) {
    const blob = await upload(example);
    if (!blob) throw new Error("This browser does not have the picture (any more). Drop it here again.");
    const bitmap = await createImageBitmap(blob).catch(() => null); // a kind that the service knows and the browser does not
    const found = { url: URL.createObjectURL(blob), width: bitmap?.width ?? 0, height: bitmap?.height ?? 0, picture: null };
    bitmap?.close();
    return { found, blob: true };
  }
  const picture = await pictureOf(example);
  const address = thumbnailAddress(picture, size);
  const url = key.peek() ? URL.createObjectURL(await getBlob(address)) : address;
  return { found: { url, width: Number(picture.facts["_width"]), height: Number(picture.facts["_height"]), picture }, blob: key.peek() !== "" };
}

/** A part of an example, cut out, as a picture of its own: x, y, width, height in its pixels. */
export async function cutOut(example: string, region: readonly number[]): Promise<Blob> {
  const [x = 0, y = 0, width = 1, height = 1] = region;
  let blob: Blob | null;
  let scale = 1;
  if (isUpload(example)) {
    blob = await upload(example);
  } else {
    const picture = await pictureOf(example);
    blob = await getBlob(about.peek()?.originals ? originalAddress(picture) : thumbnailAddress(picture, 1024));
    scale = 0;
    const bitmap = await createImageBitmap(blob);
    scale = bitmap.width / Number(picture.facts["_width"]);
    bitmap.close();
  }
  if (!blob) throw new Error("This browser does not have the picture (any more). Drop it here again.");
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext("2d")?.drawImage(bitmap, x * scale, y * scale, width * scale, height * scale, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) => canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("The part could not be cut out."))), "image/png"));
}
