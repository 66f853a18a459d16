// The key of a service that asks for one. It is kept for this tab only.
import { signal } from "@preact/signals";

const PLACE = "semblant-key";

export const key = signal(read());
/** Why a key is asked for, in the service's words; empty where none is. */
export const keyAsked = signal("");

export function keepKey(text: string): void {
  key.value = text;
  keyAsked.value = "";
  try {
    sessionStorage.setItem(PLACE, text);
  } catch {
    // Storage that is not allowed: the key is good until the page is loaded again.
  }
}

function read(): string {
  try {
    return sessionStorage.getItem(PLACE) ?? "";
  } catch {
    return "";
  }
}
