// Hands on the map: one finger or the mouse moves it, two fingers or the wheel zoom, and with a tool they draw around pictures.
import type { MapView } from "./view";

export type Tool = "move" | "rectangle" | "lasso";

export interface Hands {
  tool: () => Tool;
  /** The line that is being drawn, in pixels of the screen; null at its end. */
  onLine: (line: readonly (readonly [number, number])[] | null) => void;
  onDrawn: (line: readonly (readonly [number, number])[]) => void;
  onHover: (left: number, top: number) => void;
  onLeave: () => void;
  onTap: (left: number, top: number, event: PointerEvent) => void;
}

const STILL = 5;
const REMEMBERED = 90;

interface Finger {
  x: number;
  y: number;
}

/** Listen, and give back what ends it. */
export function listen(box: HTMLElement, view: MapView, hands: Hands): () => void {
  const fingers = new Map<number, Finger>();
  let begun: Finger | null = null;
  let still = true;
  let path: { x: number; y: number; time: number }[] = [];
  let line: [number, number][] | null = null;

  const place = (event: PointerEvent | WheelEvent): Finger => {
    const { left, top } = box.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const onControl = (event: Event) => event.target instanceof Element && event.target.closest("button, select, aside, a, input, label, summary") !== null;
  const down = (event: PointerEvent) => {
    if (event.button > 0 || (onControl(event) && !(event.target as Element).closest(".map-name"))) return;
    const at = place(event);
    fingers.set(event.pointerId, at);
    view.stop();
    if (fingers.size > 1) {
      line = null;
      hands.onLine(null);
      still = false;
      return;
    }
    begun = at;
    still = true;
    path = [];
    if (hands.tool() !== "move" || (event.shiftKey && event.pointerType === "mouse")) line = [[at.x, at.y]];
    hands.onLeave();
  };
  const move = (event: PointerEvent) => {
    const at = place(event);
    const before = fingers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse" && !event.buttons && !onControl(event)) hands.onHover(at.x, at.y);
      return;
    }
    if (begun && Math.hypot(at.x - begun.x, at.y - begun.y) > STILL && still) {
      still = false;
      box.setPointerCapture(event.pointerId);
    }
    if (still) return;
    fingers.set(event.pointerId, at);
    if (fingers.size > 1) pinch(event.pointerId, before, at);
    else if (line) {
      const first = line[0] ?? [at.x, at.y];
      if (hands.tool() === "lasso") line.push([at.x, at.y]);
      else line = [first, [at.x, first[1]], [at.x, at.y], [first[0], at.y]];
      hands.onLine(line);
    } else {
      view.pan(at.x - before.x, at.y - before.y);
      path.push({ ...at, time: event.timeStamp });
    }
  };
  const pinch = (id: number, before: Finger, at: Finger) => {
    const other = [...fingers].find(([one]) => one !== id)?.[1];
    if (!other) return;
    const apart = Math.hypot(at.x - other.x, at.y - other.y) / Math.max(Math.hypot(before.x - other.x, before.y - other.y), 1);
    view.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
    view.zoom(apart, (at.x + other.x) / 2, (at.y + other.y) / 2);
  };
  const up = (event: PointerEvent) => {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size) return;
    const drawn = line;
    line = null;
    if (still) {
      hands.onLine(null);
      if (event.type === "pointerup" && !onControl(event)) hands.onTap(place(event).x, place(event).y, event);
    } else if (drawn) {
      hands.onLine(null);
      if (event.type === "pointerup" && drawn.length > 2) hands.onDrawn(drawn);
    } else {
      const late = path.filter((one) => event.timeStamp - one.time < REMEMBERED);
      const [first, last] = [late[0], late.at(-1)];
      const took = first && last ? last.time - first.time : 0;
      if (first && last && took > 10) view.glide((last.x - first.x) / took, (last.y - first.y) / took);
      else view.rest();
    }
  };
  let resting = 0;
  const wheel = (event: WheelEvent) => {
    if (onControl(event) && !(event.target as Element).closest(".map-name")) return;
    event.preventDefault();
    const at = place(event);
    const unit = event.deltaMode === 1 ? 20 : event.deltaMode === 2 ? 400 : 1;
    // A pinch of a touch pad comes as a wheel with Ctrl, and small steps.
    view.zoom(Math.exp(-Math.min(Math.max(event.deltaY * unit, -240), 240) * (event.ctrlKey ? 0.01 : 0.0022)), at.x, at.y);
    hands.onLeave();
    clearTimeout(resting);
    resting = window.setTimeout(() => view.rest(), 200);
  };
  const leave = () => fingers.size || hands.onLeave();
  const ends: [string, (event: never) => void, AddEventListenerOptions?][] = [
    ["pointerdown", down],
    ["pointermove", move],
    ["pointerup", up],
    ["pointercancel", up],
    ["pointerleave", leave],
    ["wheel", wheel, { passive: false }],
  ];
  for (const [name, act, options] of ends) box.addEventListener(name, act as EventListener, options);
  return () => {
    clearTimeout(resting);
    for (const [name, act] of ends) box.removeEventListener(name, act as EventListener);
  };
}

/** Keys of the map; whether it took one. */
export function key(event: KeyboardEvent, view: MapView): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const step = event.shiftKey ? 240 : 80;
  const acts: Record<string, () => void> = {
    ArrowLeft: () => view.pan(step, 0),
    ArrowRight: () => view.pan(-step, 0),
    ArrowUp: () => view.pan(0, step),
    ArrowDown: () => view.pan(0, -step),
    "+": () => view.flyBy(1.6),
    "=": () => view.flyBy(1.6),
    "-": () => view.flyBy(1 / 1.6),
    "0": () => view.flyHome(),
    Home: () => view.flyHome(),
  };
  const act = acts[event.key];
  if (!act) return false;
  act();
  if (event.key.startsWith("Arrow")) view.rest();
  return true;
}
