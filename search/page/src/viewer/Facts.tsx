// The side of the viewer: what to do with the picture, how alike it is, what looks like it, and all that is known about it.
import { type Signal, useSignal } from "@preact/signals";
import { getBlob, messageOf, patch, post, revision } from "../api/call";
import type { Picture, Shown } from "../api/models";
import { inParts } from "../api/parts";
import { Thumbnail, ratioOf } from "../grid/Thumbnail";
import { useAsked } from "../parts/asked";
import { saveBlob } from "../parts/download";
import { Icon } from "../parts/Icon";
import { forget, originalAddress } from "../parts/pictures";
import { go, href, searching, state } from "../state/address";
import { decoded, fieldLabel, fileName, folderOf, likeness, plural, score, shownUri, shownValue } from "../state/names";
import { say } from "../state/notices";
import { remove } from "../state/removals";
import { about, collection, facts, mayWrite } from "../state/service";

const HIDDEN = new Set(["_uri", "_sha256", "_sources", "_width", "_height"]);
const SIMILAR = 9;

export function Facts({ picture, why }: { picture: Shown; why: Signal<boolean> }) {
  const { like, unlike } = state.value;
  const { facts: noted, metadata } = picture;
  const asked = searching.value && like.length === 1 && !unlike.length;
  const [width, height] = [Number(noted["_width"]), Number(noted["_height"])];
  const only = { open: "", view: "pictures" as const, region: [], by: "look" as const };
  return (
    <aside class="facts" aria-label="About the picture">
      <h2>
        <bdi>{fileName(picture.uri)}</bdi>
      </h2>
      <p class="facts-folder">
        <button type="button" class="quiet" title={shownUri(picture.uri)} onClick={() => go({ ...only, like: [], unlike: [], folder: folderOf(picture.uri) })}>
          <Icon name="folder" /> <bdi>{decoded(folderOf(picture.uri).split("/").at(-2) ?? "")}</bdi>
        </button>
        <span>
          {width} × {height}
        </span>
      </p>
      {searching.value && picture.score !== undefined && (
        <p class="facts-score">
          <strong>{likeness(picture) || "Score"}</strong> {score(picture)}
          {picture.verdict && picture.inliers ? <span>{` · ${picture.inliers} details agree`}</span> : null}
          {asked && facts.value?.details && (
            <button type="button" class="quiet" aria-pressed={why.value} onClick={() => (why.value = !why.value)}>
              <Icon name="lines" /> {why.value ? "The picture" : "Why?"}
            </button>
          )}
        </p>
      )}
      <div class="facts-actions">
        <button type="button" class="primary" onClick={() => go({ ...only, like: [picture.id], unlike: [] })}>
          <Icon name="similar" /> Find similar
        </button>
        {searching.value && (
          <>
            <button type="button" onClick={() => go({ ...only, like: [...like.filter((one) => one !== picture.id), picture.id], unlike: unlike.filter((one) => one !== picture.id) })}>
              <Icon name="plus" /> More like it
            </button>
            <button type="button" onClick={() => go({ ...only, unlike: [...unlike.filter((one) => one !== picture.id), picture.id], like: like.filter((one) => one !== picture.id) })}>
              <Icon name="minus" /> Less like it
            </button>
          </>
        )}
        {about.value?.originals && <SaveFile key={picture.id} picture={picture} />}
        {mayWrite.value && (
          <button
            type="button"
            onClick={() => {
              remove([picture.id]);
              go({ open: "" });
            }}
          >
            <Icon name="trash" /> Remove
          </button>
        )}
      </div>
      <Similar picture={picture} />
      <Metadata picture={picture} metadata={metadata} />
      <dl class="noted">
        {Object.entries(noted)
          .filter(([name]) => !HIDDEN.has(name))
          .map(([name, value]) => (
            <Fact key={name} name={name} value={value} />
          ))}
        <Fact name="_uri" value={shownUri(picture.uri)} />
      </dl>
    </aside>
  );
}

/** Saves the picture's own file. It is asked for as all else is, with the key, and what is wrong with it is said. */
function SaveFile({ picture }: { picture: Picture }) {
  const saving = useSignal(false);
  const save = async () => {
    saving.value = true;
    try {
      // After a # is which page or frame of the file it is.
      saveBlob(fileName(picture.uri.replace(/#.*/, "")), await getBlob(originalAddress(picture)));
    } catch (error) {
      say(messageOf(error));
    }
    saving.value = false;
  };
  return (
    <button type="button" disabled={saving.value} onClick={() => void save()}>
      <Icon name="save" /> Save
    </button>
  );
}

function Fact({ name, value }: { name: string; value: unknown }) {
  return (
    <div>
      <dt>
        <bdi>{fieldLabel(name)}</bdi>
      </dt>
      <dd>
        <bdi>{shownValue(value, name)}</bdi>
      </dd>
    </div>
  );
}

function Similar({ picture }: { picture: Shown }) {
  const asked = useAsked(JSON.stringify([collection.value, picture.id]), (signal) => post("/v1/search", { id: picture.id, limit: SIMILAR, collection: collection.peek() }, signal));
  const hits = asked.value.answer?.hits ?? [];
  if (asked.value.answer && !hits.length) return null;
  return (
    <section class="similar" aria-label="Pictures like it">
      <h3>Looks like it</h3>
      <ul>
        {hits.map((hit) => (
          <li key={hit.id}>
            <a
              href={href({ ...state.value, open: hit.id })}
              aria-label={`${fileName(hit.uri)}, ${likeness(hit)} ${score(hit)}`}
              onClick={(event) => {
                if (event.ctrlKey || event.metaKey) return;
                event.preventDefault();
                go({ open: hit.id });
              }}
            >
              <Thumbnail picture={hit} size={104 * Math.max(1, Math.min(ratioOf(hit), 2))} alt="" late={false} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What the owner says about it; those who may write change it here. */
function Metadata({ picture, metadata }: { picture: Shown; metadata: Record<string, unknown> }) {
  const adding = useSignal(false);
  const names = Object.keys(metadata);
  if (!names.length && !mayWrite.value) return null;
  return (
    <section class="metadata" aria-label="Metadata">
      <dl>
        {names.map((name) => (
          <Fact key={name} name={name} value={metadata[name]} />
        ))}
      </dl>
      {mayWrite.value && !adding.value && (
        <button type="button" class="quiet" onClick={() => (adding.value = true)}>
          <Icon name="tag" /> Tag it…
        </button>
      )}
      {adding.value && <TagForm ids={[picture.id]} onDone={() => (adding.value = false)} />}
    </section>
  );
}

/** A field and its value for some pictures. An empty value takes the field away. */
export function TagForm({ ids, onDone }: { ids: readonly string[]; onDone: () => void }) {
  const known = Object.entries(facts.value?.fields ?? {}).filter(([name]) => !name.startsWith("_"));
  const save = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const name = String(given.get("field") ?? "").trim();
    const text = String(given.get("value") ?? "").trim();
    if (!name) return;
    try {
      const metadata = { [name]: typed(text, facts.peek()?.fields[name]) };
      const within = collection.peek();
      const count = await inParts(within, ids, (pictures) => patch("/v1/pictures", { collection: within, pictures, metadata }));
      ids.forEach(forget);
      revision.value += 1;
      say(`${name} of ${plural(count, "picture")} ${text ? `is ${text}` : "taken away"}.`);
      onDone();
    } catch (error) {
      say(messageOf(error));
    }
  };
  return (
    <form class="tag" onSubmit={(event) => void save(event)}>
      <input name="field" list="tag-fields" required placeholder="field" aria-label="Field" autocomplete="off" defaultValue={known[0]?.[0] ?? "tag"} />
      <datalist id="tag-fields">
        {known.map(([name]) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <input name="value" placeholder="value; empty takes it away" aria-label="Value" autocomplete="off" ref={(input) => input?.focus()} />
      <button type="submit" class="primary">
        Save
      </button>
      <button type="button" onClick={onDone}>
        Cancel
      </button>
    </form>
  );
}

function typed(text: string, kind: string | undefined): unknown {
  if (!text) return null;
  if (kind === "integer" || kind === "float") return Number.isFinite(Number(text)) ? Number(text) : text;
  if (kind === "bool" && /^(yes|true|1|no|false|0)$/i.test(text)) return /^(yes|true|1)$/i.test(text);
  return text;
}
