// Rows of one height and full width, as a newspaper sets lines: every picture whole, none cropped.

export interface Tile {
  index: number;
  left: number;
  width: number;
}

export interface Row {
  top: number;
  height: number;
  tiles: readonly Tile[];
  /** What the pictures from here on have in common, where that changes. */
  heading: string;
}

export interface Layout {
  rows: readonly Row[];
  height: number;
}

interface Measures {
  width: number;
  rowHeight: number;
  gap: number;
  headingHeight: number;
}

/** Very long and very tall pictures are shown as if they were less so, centred in their tile. */
const RATIOS = [0.4, 3.2] as const;

/**
 * Lay out pictures by their ratios of width to height.
 *
 * `headings` is as long as `ratios`; a new one begins a new row. The last row of each part is not stretched.
 */
export function justify(ratios: readonly number[], headings: readonly string[], { width, rowHeight, gap, headingHeight }: Measures): Layout {
  const rows: Row[] = [];
  let top = 0;
  let first = 0;
  let total = 0; // of the ratios of the row that is being filled
  let heading = "";

  const close = (end: number, stretched: boolean) => {
    const gaps = gap * (end - first - 1);
    const fitted = (width - gaps) / total;
    const height = stretched ? Math.min(fitted, rowHeight * 1.6) : Math.min(fitted, rowHeight);
    if (heading) top += headingHeight;
    const tiles: Tile[] = [];
    let left = 0;
    for (let index = first; index < end; index += 1) {
      const wide = ratio(ratios[index] ?? 1) * height;
      tiles.push({ index, left, width: wide });
      left += wide + gap;
    }
    rows.push({ top, height, tiles, heading });
    top += height + gap;
    first = end;
    total = 0;
    heading = "";
  };

  for (let index = 0; index < ratios.length; index += 1) {
    const said = headings[index] ?? "";
    if (said !== (headings[index - 1] ?? "")) {
      if (index > first) close(index, false);
      heading = said;
    }
    total += ratio(ratios[index] ?? 1);
    const wide = total * rowHeight + gap * (index - first);
    if (wide >= width) close(index + 1, true);
  }
  if (first < ratios.length) close(ratios.length, false);
  return { rows, height: Math.max(0, top - gap) };
}

/** The rows that touch a stretch of the page, as a half-open range of places. */
export function rowsWithin(rows: readonly Row[], from: number, to: number): [number, number] {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    if (row && row.top + row.height < from) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < rows.length && (rows[end]?.top ?? 0) <= to) end += 1;
  return [low, end];
}

/** The picture above or below another: the one whose middle is nearest. */
export function beside(layout: Layout, index: number, step: -1 | 1): number {
  const place = layout.rows.findIndex((row) => row.tiles.some((tile) => tile.index === index));
  const from = layout.rows[place]?.tiles.find((tile) => tile.index === index);
  const to = layout.rows[place + step];
  if (!from || !to) return index;
  const middle = (tile: Tile) => tile.left + tile.width / 2;
  const away = (tile: Tile) => Math.abs(middle(tile) - middle(from));
  return to.tiles.reduce((best, tile) => (away(tile) < away(best) ? tile : best)).index;
}

function ratio(value: number): number {
  return Math.min(Math.max(value, RATIOS[0]), RATIOS[1]);
}
