// What is asked for, above the answers: the examples, the part of one that counts, and how they are looked for.
import { useSignal } from "@preact/signals";
import { messageOf } from "../api/call";
import { Icon } from "../parts/Icon";
import { cutOut, useDrawable } from "../parts/pictures";
import { go, state } from "../state/address";
import { fileName } from "../state/names";
import { say } from "../state/notices";
import { facts } from "../state/service";
import { isUpload, keepUpload } from "../state/uploads";
import { RegionPicker } from "./RegionPicker";

export function Query() {
  const { like, unlike, region, by, diversity } = state.value;
  const draft = useSignal<number | null>(null);
  const only = like.length === 1 && unlike.length === 0 ? (like[0] ?? "") : "";
  const details = facts.value?.details ?? false;

  const choose = async (part: readonly number[]) => {
    if (!part.length || facts.peek()?.regions || by === "details") {
      go({ region: part });
      return;
    }
    // The encoder has no local vectors: the part is looked for as a picture of its own.
    try {
      go({ like: [await keepUpload(await cutOut(only, part))], region: [] });
    } catch (error) {
      say(messageOf(error));
    }
  };

  const options = (
    <div class="query-options">
      {only && details && (
        <div class="switch" role="group" aria-label="Look for">
          <button type="button" aria-pressed={by === "look"} onClick={() => go({ by: "look" })}>
            Looks like it
          </button>
          <button type="button" aria-pressed={by === "details"} onClick={() => go({ by: "details", diversity: 0 })}>
            Contains it
          </button>
        </div>
      )}
      {by === "look" && !region.length && (
        <label class="slider">
          <span>Alike</span>
          <input
            type="range"
            min="0"
            max="1"
            step="0.1"
            value={draft.value ?? diversity}
            aria-label="How much hits differ among each other"
            onInput={(event) => (draft.value = Number(event.currentTarget.value))}
            onChange={(event) => {
              draft.value = null;
              go({ diversity: Number(event.currentTarget.value) });
            }}
          />
          <span>Varied</span>
        </label>
      )}
      <button type="button" class="quiet" onClick={() => go({ like: [], unlike: [], region: [], by: "look", diversity: 0 })}>
        <Icon name="close" /> Show all pictures
      </button>
    </div>
  );
  return (
    <section class="query" aria-label="What is looked for">
      {only ? (
        <RegionPicker example={only} region={region} onChoose={(part) => void choose(part)}>
          {options}
        </RegionPicker>
      ) : (
        <>
          <div class="query-examples">
            {like.map((one) => (
              <Example key={one} example={one} onRemove={() => go({ like: like.filter((other) => other !== one) })} />
            ))}
            {unlike.map((one) => (
              <Example key={`-${one}`} example={one} unlike onRemove={() => go({ unlike: unlike.filter((other) => other !== one) })} />
            ))}
          </div>
          {options}
        </>
      )}
    </section>
  );
}

function Example({ example, unlike = false, onRemove }: { example: string; unlike?: boolean; onRemove: () => void }) {
  const drawn = useDrawable(example, 128);
  const name = drawn && !(drawn instanceof Error) && drawn.picture ? fileName(drawn.picture.uri) : isUpload(example) ? "your picture" : "a picture";
  return (
    <span class={`example${unlike ? " is-unlike" : ""}`}>
      {drawn && !(drawn instanceof Error) && <img src={drawn.url} alt={`${unlike ? "Unlike" : "Like"} ${name}`} />}
      <Icon name={unlike ? "minus" : "plus"} />
      <button type="button" aria-label={`Leave out ${name}`} onClick={onRemove}>
        <Icon name="close" />
      </button>
    </span>
  );
}
