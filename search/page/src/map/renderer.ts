// What draws the map. There are two: by WebGL2, and by a plain canvas where there is none.
import type { Camera, Size } from "./camera";
import type { Points } from "./columns";
import type { Rgb } from "./palette";

/** A picture in place of its point. */
export interface Tile {
  row: number;
  /** Of its middle, and its size, in CSS pixels. */
  left: number;
  top: number;
  width: number;
  height: number;
  /** Its colour of the palette. */
  colour: number;
  /** 0–1: pictures come softly. */
  alpha: number;
  raised: boolean;
}

/** How a point is shown. */
export const DIM = 0;
export const PLAIN = 1;
export const HIT = 2;

export interface Scene {
  camera: Camera;
  size: Size;
  /** Points that are drawn: the first ones, where all take too long. */
  points: number;
  /** Of a point, in CSS pixels. */
  pointSize: number;
  tiles: readonly Tile[];
}

export interface Renderer {
  readonly kind: "webgl" | "canvas";
  /** The longer side of the pictures that it keeps, in pixels of the screen. */
  readonly side: number;
  resize(size: Size): void;
  setPoints(points: Points): void;
  setColours(column: Uint8Array<ArrayBuffer> | null): void;
  setShown(shown: Uint8Array<ArrayBuffer>): void;
  setPalette(palette: readonly Rgb[]): void;
  /** Keep a picture, in place of the one that was drawn longest ago, where there is no room. */
  keep(row: number, picture: ImageBitmap): void;
  has(row: number): boolean;
  forgetPictures(): void;
  draw(scene: Scene): void;
  dispose(): void;
}
