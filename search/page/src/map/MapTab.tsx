// The map's own code comes with its tab: nobody who does not look at it waits for it.
import { signal } from "@preact/signals";
import type { FunctionComponent } from "preact";
import { useEffect } from "preact/hooks";
import { messageOf } from "../api/call";

const part = signal<FunctionComponent | null>(null);
const error = signal("");

export function MapTab() {
  useEffect(() => {
    if (part.peek()) return;
    import("./Map").then(
      (loaded) => (part.value = loaded.Map),
      (thrown: unknown) => (error.value = messageOf(thrown)),
    );
  }, []);
  const Part = part.value;
  if (Part) return <Part />;
  return <p class="empty">{error.value || "…"}</p>;
}
