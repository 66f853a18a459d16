// The map on a plain canvas, for browsers without WebGL2: slower, and the same to look at.
import { type Size, toScreen } from "./camera";
import { type Points, unit } from "./columns";
import { type Rgb, css } from "./palette";
import { DIM, HIT, type Renderer, type Scene, type Tile } from "./renderer";

const MOST_PICTURES = 500;
/** Points that are drawn at most: more take longer than anyone waits. */
const MOST_POINTS = 60_000;

export class CanvasRenderer implements Renderer {
  readonly kind = "canvas";
  readonly side = 180;
  private readonly pictures = new Map<number, ImageBitmap>();
  private points: Points | null = null;
  private column: Uint8Array | null = null;
  private shown: Uint8Array | null = null;
  private colours: string[] = [];

  constructor(private readonly context: CanvasRenderingContext2D) {}

  resize({ width, height, density }: Size): void {
    this.context.canvas.width = Math.max(1, Math.round(width * density));
    this.context.canvas.height = Math.max(1, Math.round(height * density));
  }

  setPoints(points: Points): void {
    this.points = points;
    this.column = null;
    this.shown = null;
  }

  setColours(column: Uint8Array<ArrayBuffer> | null): void {
    this.column = column;
  }

  setShown(shown: Uint8Array<ArrayBuffer>): void {
    this.shown = shown;
  }

  setPalette(palette: readonly Rgb[]): void {
    this.colours = palette.map(css);
  }

  keep(row: number, picture: ImageBitmap): void {
    this.pictures.set(row, picture);
    const [oldest] = this.pictures.keys();
    if (this.pictures.size > MOST_PICTURES && oldest !== undefined) {
      this.pictures.get(oldest)?.close();
      this.pictures.delete(oldest);
    }
  }

  has(row: number): boolean {
    return this.pictures.has(row);
  }

  forgetPictures(): void {
    this.pictures.forEach((one) => one.close());
    this.pictures.clear();
  }

  draw({ camera, size, points, pointSize, tiles }: Scene): void {
    const { context } = this;
    context.setTransform(size.density, 0, 0, size.density, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    const places = this.points?.places ?? new Uint16Array();
    for (const pass of [DIM, HIT]) {
      for (let row = 0; row < Math.min(points, MOST_POINTS); row += 1) {
        const shown = this.shown?.[row] ?? 1;
        if ((shown === HIT) !== (pass === HIT)) continue;
        const [left, top] = toScreen(camera, size, unit(places[2 * row]), unit(places[2 * row + 1]));
        if (left < 0 || top < 0 || left > size.width || top > size.height) continue;
        const side = shown === HIT ? 1.6 * pointSize + 2 : pointSize;
        context.globalAlpha = shown === DIM ? 0.16 : shown === HIT ? 1 : 0.82;
        context.fillStyle = this.colours[this.column?.[row] ?? 0] ?? "grey";
        context.fillRect(left - side / 2, top - side / 2, side, side);
      }
    }
    tiles.forEach((tile) => this.drawTile(tile));
    context.globalAlpha = 1;
  }

  dispose(): void {
    this.forgetPictures();
  }

  private drawTile({ row, left, top, width, height, colour, alpha, raised }: Tile): void {
    const picture = this.pictures.get(row);
    if (!picture) return;
    this.pictures.delete(row);
    this.pictures.set(row, picture);
    const ring = raised ? 4 : 2;
    this.context.globalAlpha = alpha;
    this.context.fillStyle = this.colours[colour] ?? "grey";
    this.context.fillRect(left - width / 2 - ring, top - height / 2 - ring, width + 2 * ring, height + 2 * ring);
    this.context.drawImage(picture, left - width / 2, top - height / 2, width, height);
  }
}
