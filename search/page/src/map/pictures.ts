// The pictures of rows, and their thumbnails as bitmaps: what is on the screen first, and a few at a time.
import { getBlob, isAborted, post } from "../api/call";
import type { Picture } from "../api/models";
import { thumbnailAddress } from "../grid/Thumbnail";
import { collection } from "../state/service";

const AT_ONCE = 6;
const TOGETHER = 300;

export class RowPictures {
  private readonly known = new Map<number, Picture | null>();
  private readonly failed = new Set<number>();
  private readonly loading = new Set<number>();
  private readonly giving = new AbortController();
  private asking = false;
  private wanted: readonly number[] = [];

  /**
   * @param version - of the points.
   * @param has - whether a row's bitmap is kept already.
   * @param keep - takes a bitmap.
   * @param changed - something is known that was not.
   */
  constructor(
    private readonly version: string,
    private readonly side: number,
    private readonly has: (row: number) => boolean,
    private readonly keep: (row: number, bitmap: ImageBitmap) => void,
    private readonly changed: () => void,
  ) {}

  get(row: number): Picture | null | undefined {
    return this.known.get(row);
  }

  /** What is to be there, the most wanted first. */
  want(rows: readonly number[]): void {
    this.wanted = rows;
    void this.ask();
    this.pump();
  }

  async one(row: number): Promise<Picture | null> {
    const known = this.known.get(row);
    if (known !== undefined) return known;
    await this.read([row]);
    return this.known.get(row) ?? null;
  }

  dispose(): void {
    this.giving.abort();
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      for (;;) {
        const unknown = this.wanted.filter((row) => !this.known.has(row)).slice(0, TOGETHER);
        if (!unknown.length || this.giving.signal.aborted) break;
        await this.read(unknown);
        this.changed();
        this.pump();
      }
    } catch (error) {
      if (!isAborted(error)) for (const row of this.wanted) if (!this.known.has(row)) this.known.set(row, null); // asked for again with other points
    } finally {
      this.asking = false;
    }
  }

  private async read(rows: readonly number[]): Promise<void> {
    const answer = await post("/v1/map/pictures", { version: this.version, rows: [...rows], collection: collection.peek() }, this.giving.signal);
    rows.forEach((row, place) => this.known.set(row, answer.pictures[place] ?? null));
  }

  private pump(): void {
    for (const row of this.wanted) {
      if (this.loading.size >= AT_ONCE) return;
      const picture = this.known.get(row);
      if (picture && !this.has(row) && !this.loading.has(row) && !this.failed.has(row)) void this.load(row, picture);
    }
  }

  private async load(row: number, picture: Picture): Promise<void> {
    this.loading.add(row);
    try {
      const blob = await getBlob(thumbnailAddress(picture, this.side / Math.min(window.devicePixelRatio || 1, 2)), this.giving.signal);
      const whole = await createImageBitmap(blob);
      const share = Math.min(1, this.side / Math.max(whole.width, whole.height));
      const size = { resizeWidth: Math.max(1, Math.round(whole.width * share)), resizeHeight: Math.max(1, Math.round(whole.height * share)), resizeQuality: "medium" as const };
      const bitmap = share < 1 ? await createImageBitmap(whole, size) : whole;
      if (bitmap !== whole) whole.close();
      if (this.giving.signal.aborted) bitmap.close();
      else this.keep(row, bitmap);
    } catch {
      this.failed.add(row);
    } finally {
      this.loading.delete(row);
      if (!this.giving.signal.aborted) {
        this.changed();
        this.pump();
      }
    }
  }
}
