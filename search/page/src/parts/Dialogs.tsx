// The two questions and answers that come over the page: the key of a service that wants one, and the keyboard.
import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { keepKey, key, keyAsked } from "../api/key";

export const helping = signal(false);

export function KeyDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  const save = (event: SubmitEvent) => {
    event.preventDefault();
    keepKey(String(new FormData(event.currentTarget as HTMLFormElement).get("key") ?? "").trim());
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="key-title" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={save}>
        <h2 id="key-title">{key.value ? "The key is not good any more" : "This collection takes a key"}</h2>
        <p>{keyAsked.value}</p>
        <input name="key" type="password" required aria-label="Key" placeholder="sk_… or st_…" autocomplete="off" />
        <button type="submit" class="primary">
          Go on
        </button>
      </form>
    </dialog>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ["← → ↑ ↓", "from picture to picture"],
  ["Enter", "open it"],
  ["s", "find what looks like it"],
  ["x", "select it; with Shift, all up to it"],
  ["/", "filter by name or expression"],
  ["f", "show or hide the filters"],
  ["+ − 0", "on the map: nearer, farther, all of it"],
  ["r l", "on the map: choose with a rectangle, or by drawing around"],
  ["Esc", "close, select none, leave the search"],
  ["?", "these keys"],
];

export function HelpDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="help-title" onClose={() => (helping.value = false)}>
      <h2 id="help-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([name, does]) => (
          <div key={name}>
            <dt>
              <kbd>{name}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p class="hint">
        Drop or paste a picture anywhere to search by it. Programs ask the same <a href="docs">over HTTP</a>.
      </p>
      <form method="dialog">
        <button class="primary">Close</button>
      </form>
    </dialog>
  );
}
