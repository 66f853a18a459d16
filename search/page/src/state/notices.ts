// One short notice at a time, at the foot of the page; it may offer one thing to do.
import { signal } from "@preact/signals";

export interface Notice {
  text: string;
  action?: { label: string; act: () => void } | undefined;
}

export const notice = signal<Notice | null>(null);
let timer = 0;

export function say(text: string, action?: Notice["action"], seconds = 6): void {
  clearTimeout(timer);
  const said: Notice = { text, action };
  notice.value = said;
  timer = window.setTimeout(() => {
    if (notice.value === said) notice.value = null;
  }, seconds * 1000);
}

export function hush(): void {
  clearTimeout(timer);
  notice.value = null;
}
