import { type ReadonlySignal, effect, untracked } from "@preact/signals";

/** Do something now and whenever one of the signals changes; what else it reads, it does not wait for. */
export function watch(signals: readonly ReadonlySignal<unknown>[], act: () => void): void {
  effect(() => {
    // Read in a call: a line that reads and does nothing with it is one that bundlers leave out.
    const read = signals.map((one) => one.value);
    if (read.length) untracked(act);
  });
}
