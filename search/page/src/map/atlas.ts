// Room for pictures in a few large textures, each divided into equal slots; the one that was used longest ago gives way.

export interface Slot {
  layer: number;
  x: number;
  y: number;
  /** Of the picture in it. */
  width: number;
  height: number;
}

/** No texture is larger than every graphics card takes. */
export const TEXTURE = 2048;

export class Atlas {
  private readonly slots = new Map<number, Slot>();
  private readonly free: Slot[] = [];

  constructor(
    readonly layers: number,
    readonly side: number,
  ) {
    const across = Math.floor(TEXTURE / side);
    for (let layer = layers - 1; layer >= 0; layer -= 1) {
      for (let place = across * across - 1; place >= 0; place -= 1) this.free.push({ layer, x: (place % across) * side, y: Math.floor(place / across) * side, width: 0, height: 0 });
    }
  }

  has(row: number): boolean {
    return this.slots.has(row);
  }

  /** The slot of a picture, used just now. */
  get(row: number): Slot | undefined {
    const slot = this.slots.get(row);
    if (slot) {
      this.slots.delete(row);
      this.slots.set(row, slot);
    }
    return slot;
  }

  /** A slot for another picture. */
  take(row: number, width: number, height: number): Slot {
    let slot = this.slots.get(row) ?? this.free.pop();
    if (!slot) {
      const [oldest, given] = this.slots.entries().next().value as [number, Slot];
      this.slots.delete(oldest);
      slot = given;
    }
    const taken = { ...slot, width: Math.min(width, this.side), height: Math.min(height, this.side) };
    this.slots.delete(row);
    this.slots.set(row, taken);
    return taken;
  }

  clear(): void {
    for (const slot of this.slots.values()) this.free.push(slot);
    this.slots.clear();
  }
}
