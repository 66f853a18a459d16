// What part of the map is seen: a place of the map in the middle of the screen, and how large the map is.

/** Zoomed in no farther than this many times what shows the whole map. */
export const MOST_ZOOM = 800;
const MARGIN = 36;

export interface Camera {
  /** The middle of the screen, 0–1 of the map. */
  x: number;
  y: number;
  /** The width of the map in pixels, as CSS counts them. */
  zoom: number;
}

export interface Size {
  width: number;
  height: number;
  /** Pixels of the screen to a pixel of CSS. */
  density: number;
}

/** The whole map. */
export function homeOf(size: Size): Camera {
  return { x: 0.5, y: 0.5, zoom: Math.max(120, Math.min(size.width, size.height) - 2 * MARGIN) };
}

export function toScreen(camera: Camera, size: Size, x: number, y: number): [number, number] {
  return [(x - camera.x) * camera.zoom + size.width / 2, (y - camera.y) * camera.zoom + size.height / 2];
}

export function toMap(camera: Camera, size: Size, left: number, top: number): [number, number] {
  return [(left - size.width / 2) / camera.zoom + camera.x, (top - size.height / 2) / camera.zoom + camera.y];
}

export function panned(camera: Camera, right: number, down: number): Camera {
  return bounded({ ...camera, x: camera.x - right / camera.zoom, y: camera.y - down / camera.zoom });
}

/** Zoomed so that what is under a place of the screen stays there. */
export function zoomed(camera: Camera, size: Size, by: number, left: number, top: number): Camera {
  const home = homeOf(size).zoom;
  const zoom = Math.min(Math.max(camera.zoom * by, home * 0.6), home * MOST_ZOOM);
  const [x, y] = toMap(camera, size, left, top);
  return bounded({ zoom, x: x - (left - size.width / 2) / zoom, y: y - (top - size.height / 2) / zoom });
}

/** Part of the way to another one: the way is straight on the screen, and not on the map. */
export function between(from: Camera, to: Camera, share: number): Camera {
  const zoom = from.zoom * (to.zoom / from.zoom) ** share;
  const way = Math.abs(to.zoom / from.zoom - 1) < 1e-6 ? share : (1 / from.zoom - 1 / zoom) / (1 / from.zoom - 1 / to.zoom);
  return { zoom, x: from.x + (to.x - from.x) * way, y: from.y + (to.y - from.y) * way };
}

function bounded(camera: Camera): Camera {
  return { ...camera, x: Math.min(Math.max(camera.x, 0), 1), y: Math.min(Math.max(camera.y, 0), 1) };
}
