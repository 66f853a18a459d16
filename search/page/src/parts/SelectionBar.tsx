// What can be done with the pictures that are marked.
import { useSignal } from "@preact/signals";
import { go } from "../state/address";
import { plural } from "../state/names";
import { remove } from "../state/removals";
import { mayWrite } from "../state/service";
import { clearSelection, selection } from "../state/selection";
import { TagForm } from "../viewer/Facts";
import { csvOf, listOf, save } from "./download";
import { Icon } from "./Icon";

const MOST_EXAMPLES = 100;

export function SelectionBar() {
  const tagging = useSignal(false);
  const marked = selection.value;
  if (!marked.length) return null;
  const ids = marked.map((one) => one.id);
  const done = (act: () => void) => () => {
    act();
    clearSelection();
  };
  return (
    <section class="selection" aria-label="Selected pictures">
      <strong aria-live="polite">{plural(marked.length, "picture")}</strong>
      {tagging.value ? (
        <TagForm ids={ids} onDone={() => (tagging.value = false)} />
      ) : (
        <div class="selection-actions">
          <button type="button" onClick={done(() => go({ view: "pictures", like: ids.slice(0, MOST_EXAMPLES), unlike: [], region: [], by: "look" }))}>
            <Icon name="similar" /> <span>Find similar</span>
          </button>
          {mayWrite.value && (
            <button type="button" onClick={() => (tagging.value = true)}>
              <Icon name="tag" /> <span>Tag</span>
            </button>
          )}
          <button type="button" onClick={() => save("pictures.csv", "text/csv", csvOf(marked))}>
            <Icon name="save" /> <span>CSV</span>
          </button>
          <button type="button" onClick={() => save("pictures.txt", "text/plain", listOf(marked))}>
            <Icon name="save" /> <span>List</span>
          </button>
          {mayWrite.value && (
            <button type="button" onClick={done(() => remove(ids))}>
              <Icon name="trash" /> <span>Remove</span>
            </button>
          )}
        </div>
      )}
      <button type="button" class="icon-button" aria-label="Select none" onClick={clearSelection}>
        <Icon name="close" />
      </button>
    </section>
  );
}
