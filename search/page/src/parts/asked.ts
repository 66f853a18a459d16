// Something that is asked of the service while a component shows it, and asked again when the question changes.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isAborted, messageOf, revision } from "../api/call";
import { key } from "../api/key";

export interface Asked<T> {
  answer: T | null;
  error: string;
}

/** `question` names all that the answer depends on; an empty one is not asked. What was answered before stays until the next. */
export function useAsked<T>(question: string, ask: (signal: AbortSignal) => Promise<T>): Signal<Asked<T>> {
  const asked = useSignal<Asked<T>>({ answer: null, error: "" });
  const changes = revision.value;
  const asker = key.value;
  useEffect(() => {
    if (!question) return;
    const asking = new AbortController();
    ask(asking.signal).then(
      (answer) => !asking.signal.aborted && (asked.value = { answer, error: "" }),
      (error: unknown) => !isAborted(error) && !asking.signal.aborted && (asked.value = { answer: null, error: messageOf(error) }),
    );
    return () => asking.abort();
  }, [question, changes, asker]);
  return asked;
}
