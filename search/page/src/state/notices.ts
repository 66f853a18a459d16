// Short notices at the foot of the page. One that offers something to do stays for its time, whatever else is said meanwhile.
import { signal } from "@preact/signals";

export interface Notice {
  text: string;
  action?: { label: string; act: () => void } | undefined;
}

/** One without an action at most, and one with. */
export const notices = signal<readonly Notice[]>([]);

export function say(text: string, action?: Notice["action"], seconds = 6): void {
  const said: Notice = { text, action };
  notices.value = [...notices.value.filter((one) => !one.action !== !action), said];
  window.setTimeout(() => hush(said), seconds * 1000);
}

export function hush(said: Notice): void {
  notices.value = notices.value.filter((one) => one !== said);
}
