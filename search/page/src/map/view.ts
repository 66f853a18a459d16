// The map as it moves: what is to be drawn now, by whichever renderer there is, and only when something changed.
import { type Camera, MOST_ZOOM, type Size, between, homeOf, panned, toMap, toScreen, zoomed } from "./camera";
import { CanvasRenderer } from "./canvas";
import { type Colours, type Points, unit } from "./columns";
import { type Rgb, paletteOf } from "./palette";
import { RowPictures } from "./pictures";
import { DIM, HIT, PLAIN, type Renderer, type Tile } from "./renderer";
import { Grid, levelOf, onScreen, roomOf, rowsUpTo, thinned } from "./thinning";
import { WebGlRenderer } from "./webgl";

/** Points that are drawn while the map moves, where there are many: the first ones are a map of all. */
const WHILE_MOVING = 200_000;
const FADE = 180;
const FLIGHT = 420;
const FILLED = 0.88;
const REACH = 10;

interface Focus {
  /** Those that are shown strongly, best first. */
  rows: readonly number[];
  hits: boolean;
}

export class MapView {
  camera: Camera;
  size: Size = { width: 1, height: 1, density: 1 };
  renderer: Renderer;
  withPictures = true;
  points: Points | null = null;
  /** Called after each frame. */
  onFrame = (): void => undefined;
  /** Called when the camera has come to rest. */
  onRest = (): void => undefined;
  private colours: Colours | null = null;
  private palette: readonly Rgb[] = paletteOf(null, false);
  private pictures: RowPictures | null = null;
  private grid: Grid | null = null;
  private shown = new Uint8Array();
  private focus: Focus | null = null;
  private focused: { level: number; rows: readonly number[] } | null = null;
  private tiles: Tile[] = [];
  private readonly since = new Map<number, number>();
  private hovered = -1;
  private frame = 0;
  private flight: { from: Camera; to: Camera; begun: number } | null = null;
  private speed = { x: 0, y: 0 };
  private moved = 0;
  private last = 0;

  /** @param calm - nothing flies, glides or fades. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly calm: boolean,
  ) {
    this.camera = homeOf(this.size);
    this.renderer = rendererOn(canvas);
    canvas.addEventListener("webglcontextlost", this.lose);
    canvas.addEventListener("webglcontextrestored", this.restore);
  }

  dispose(): void {
    cancelAnimationFrame(this.frame);
    this.canvas.removeEventListener("webglcontextlost", this.lose);
    this.canvas.removeEventListener("webglcontextrestored", this.restore);
    this.pictures?.dispose();
    this.renderer.dispose();
  }

  /** Another size of the canvas: what is seen stays as large. */
  resize(width: number, height: number): void {
    const density = Math.min(window.devicePixelRatio || 1, 2);
    const before = homeOf(this.size).zoom;
    const first = this.size.width === 1;
    this.size = { width, height, density };
    this.renderer.resize(this.size);
    this.camera = first ? homeOf(this.size) : { ...this.camera, zoom: (this.camera.zoom * homeOf(this.size).zoom) / before };
    this.draw(); // at once: the canvas is empty now
  }

  setPoints(points: Points): void {
    this.points = points;
    this.grid = new Grid(points);
    this.shown = new Uint8Array(points.count).fill(PLAIN);
    this.focus = this.focused = this.colours = null;
    this.since.clear();
    this.pictures?.dispose();
    this.renderer.forgetPictures();
    this.renderer.setPoints(points);
    this.readPictures();
    this.invalidate();
  }

  setColours(colours: Colours | null, palette: readonly Rgb[]): void {
    this.colours = colours;
    this.palette = palette;
    this.renderer.setPalette(palette);
    this.renderer.setColours(colours?.column ?? null);
    this.invalidate();
  }

  /** Show some strongly and all others faintly; null for all alike. */
  setFocus(focus: Focus | null): void {
    this.focus = focus;
    this.focused = null;
    this.shown.fill(focus ? DIM : PLAIN);
    for (const row of focus?.rows ?? []) this.shown[row] = focus?.hits ? HIT : PLAIN;
    this.renderer.setShown(this.shown as Uint8Array<ArrayBuffer>);
    this.invalidate();
  }

  picture(row: number) {
    return this.pictures?.one(row) ?? Promise.resolve(null);
  }

  colourOf(row: number): number {
    return this.colours?.column[row] ?? 0;
  }

  /** Where a row is on the screen. */
  placeOf(row: number): [number, number] {
    return toScreen(this.camera, this.size, unit(this.points?.places[2 * row]), unit(this.points?.places[2 * row + 1]));
  }

  placeAt(x: number, y: number): [number, number] {
    return toScreen(this.camera, this.size, x, y);
  }

  /** Whether it moves by itself, or has just now. */
  get moves(): boolean {
    return this.flight !== null || this.speed.x !== 0 || this.speed.y !== 0 || performance.now() - this.moved < 250;
  }

  nearestToMiddle(): number {
    const { camera } = this;
    return this.grid?.nearest(camera.x, camera.y, (this.size.width / 2) / camera.zoom, (row) => this.shown[row] !== DIM) ?? -1;
  }

  /** To another part of the map, at once. */
  jump(camera: Camera): void {
    this.stop();
    this.camera = camera;
    this.invalidate();
  }

  /** To what is shown strongly. */
  flyToFocus(): void {
    this.flyAround((this.focus?.rows ?? []).map((row) => [unit(this.points?.places[2 * row]), unit(this.points?.places[2 * row + 1])]));
  }

  /** The picture or point under a place of the screen; −1 for none. */
  at(left: number, top: number): number {
    for (let place = this.tiles.length - 1; place >= 0; place -= 1) {
      const tile = this.tiles[place]!;
      if (this.renderer.has(tile.row) && Math.abs(tile.left - left) <= tile.width / 2 + 2 && Math.abs(tile.top - top) <= tile.height / 2 + 2) return tile.row;
    }
    const [x, y] = toMap(this.camera, this.size, left, top);
    return this.grid?.nearest(x, y, REACH / this.camera.zoom, (row) => this.shown[row] !== DIM) ?? -1;
  }

  hover(row: number): void {
    if (row === this.hovered) return;
    this.hovered = row;
    this.invalidate();
  }

  pan(right: number, down: number): void {
    this.stop();
    this.go(panned(this.camera, right, down));
  }

  zoom(by: number, left = this.size.width / 2, top = this.size.height / 2): void {
    this.stop();
    this.go(zoomed(this.camera, this.size, by, left, top));
  }

  /** Go on by itself, slower and slower; the speed is in pixels a millisecond. */
  glide(x: number, y: number): void {
    if (this.calm || Math.hypot(x, y) < 0.05) return this.rest();
    this.speed = { x, y };
    this.invalidate();
  }

  flyTo(to: Camera): void {
    this.stop();
    if (this.calm) {
      this.go(to);
      return this.rest();
    }
    this.flight = { from: this.camera, to, begun: performance.now() };
    this.invalidate();
  }

  flyHome(): void {
    this.flyTo(homeOf(this.size));
  }

  flyBy(factor: number, left = this.size.width / 2, top = this.size.height / 2): void {
    this.flyTo(zoomed(this.flight?.to ?? this.camera, this.size, factor, left, top));
  }

  /** Show some places whole. */
  flyAround(places: readonly (readonly [number, number])[]): void {
    if (!places.length) return;
    const xs = places.map((one) => one[0]);
    const ys = places.map((one) => one[1]);
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const home = homeOf(this.size).zoom;
    const zoom = Math.min((0.7 * this.size.width) / Math.max(right - left, 1e-4), (0.7 * this.size.height) / Math.max(bottom - top, 1e-4), home * MOST_ZOOM);
    this.flyTo({ x: (left + right) / 2, y: (top + bottom) / 2, zoom: Math.max(zoom, home * 0.8) });
  }

  stop(): void {
    this.flight = null;
    this.speed = { x: 0, y: 0 };
  }

  rest(): void {
    this.invalidate();
    this.onRest();
  }

  invalidate(): void {
    this.frame ||= requestAnimationFrame(this.tick);
  }

  private go(camera: Camera): void {
    this.camera = camera;
    this.moved = performance.now();
    this.invalidate();
  }

  private readonly tick = (now: number): void => {
    this.frame = 0;
    const passed = Math.min(now - this.last, 50);
    this.last = now;
    if (this.flight) {
      const share = Math.min((now - this.flight.begun) / FLIGHT, 1);
      this.go(between(this.flight.from, this.flight.to, 1 - (1 - share) ** 3));
      if (share === 1) {
        this.flight = null;
        this.onRest();
      }
    } else if (this.speed.x || this.speed.y) {
      const { x, y } = this.speed;
      this.go(panned(this.camera, x * passed, y * passed));
      const kept = 0.9955 ** passed;
      this.speed = { x: x * kept, y: y * kept };
      if (Math.hypot(x, y) < 0.02) {
        this.stop();
        this.onRest();
      }
    }
    const fading = this.draw(now);
    const moving = performance.now() - this.moved < 120;
    if (fading || moving) this.invalidate();
  };

  private draw(now = performance.now()): boolean {
    const { points, size, camera } = this;
    if (!points) return false;
    const fading = this.placeTiles(points, now);
    const near = camera.zoom / homeOf(size).zoom;
    const base = Math.min(Math.max(0.5 * Math.sqrt((size.width * size.height) / Math.max(points.count, 1)) ** 0.8, 1.4), 6.5);
    const many = points.count > WHILE_MOVING && now - this.moved < 100;
    this.renderer.draw({ camera, size, points: many ? WHILE_MOVING : points.count, pointSize: Math.min(base * near ** 0.3, 14), tiles: this.tiles });
    mark("map-drawn");
    if (this.tiles.some((tile) => this.renderer.has(tile.row))) mark("map-pictures");
    this.onFrame();
    return fading;
  }

  /** Pictures that fit; whether some of them are coming still. */
  private placeTiles(points: Points, now: number): boolean {
    this.tiles = [];
    if (!this.withPictures) return false;
    const { camera, size } = this;
    const room = roomOf(camera, size);
    const { level, apart } = levelOf(camera, room);
    const side = Math.min(apart, 1.45 * room) * FILLED;
    const rows = onScreen(points, this.fitting(points, level), camera, size, side);
    this.pictures?.want(rows);
    let fading = false;
    for (const row of rows) {
      const picture = this.pictures?.get(row);
      const ready = this.renderer.has(row);
      if (!picture) continue;
      const wide = Number(picture.facts["_width"]) || 1;
      const high = Number(picture.facts["_height"]) || 1;
      const scale = side / Math.max(wide, high);
      const begun = this.since.get(row) ?? (ready ? now : null);
      if (ready && !this.since.has(row)) this.since.set(row, now);
      const alpha = this.calm ? 1 : Math.min(1, 0.01 + (now - (begun ?? now)) / FADE);
      fading ||= ready && alpha < 1;
      const [left, top] = this.placeOf(row);
      this.tiles.push({ row, left, top, width: wide * scale, height: high * scale, colour: this.colourOf(row), alpha, raised: row === this.hovered });
    }
    if (this.since.size > 4 * rows.length + 500) {
      const kept = new Set(rows);
      for (const row of this.since.keys()) if (!kept.has(row)) this.since.delete(row);
    }
    return fading;
  }

  private fitting(points: Points, level: number): readonly number[] | number {
    if (!this.focus) return rowsUpTo(points, level);
    if (this.focused?.level !== level) this.focused = { level, rows: level < 0 ? [] : thinned(points, this.focus.rows, 2 ** (-level / 2)) };
    return this.focused.rows;
  }

  private readPictures(): void {
    const { points } = this;
    if (!points) return;
    this.pictures = new RowPictures(points.version, this.renderer.side, (row) => this.renderer.has(row), (row, bitmap) => this.keep(row, bitmap), () => this.invalidate());
  }

  private keep(row: number, bitmap: ImageBitmap): void {
    this.renderer.keep(row, bitmap);
    if (this.renderer.kind === "webgl") bitmap.close();
    this.since.delete(row);
  }

  private readonly lose = (event: Event): void => event.preventDefault();

  /** The graphics card forgot everything. */
  private readonly restore = (): void => {
    this.renderer = rendererOn(this.canvas);
    this.renderer.resize(this.size);
    if (!this.points) return;
    this.renderer.setPoints(this.points);
    this.setColours(this.colours, this.palette);
    this.renderer.setShown(this.shown as Uint8Array<ArrayBuffer>);
    this.pictures?.dispose();
    this.readPictures();
  };
}

const marked = new Set<string>();

/** The first time of something, for who measures the page. */
function mark(name: string): void {
  if (marked.has(name)) return;
  marked.add(name);
  performance.mark(name);
}

function rendererOn(canvas: HTMLCanvasElement): Renderer {
  const found = WebGlRenderer.on(canvas, window.devicePixelRatio || 1);
  if (found) return found;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser draws nothing.");
  return new CanvasRenderer(context);
}
