// Files that are one and the same picture, group by group: which one to keep and why, and what may go.
import { useComputed, useSignal } from "@preact/signals";
import { postUntilDone } from "../api/call";
import type { Duplicate, DuplicateGroup, Picture } from "../api/models";
import { Thumbnail, ratioOf } from "../grid/Thumbnail";
import { useAsked } from "../parts/asked";
import { save, listOf } from "../parts/download";
import { Icon } from "../parts/Icon";
import { go } from "../state/address";
import { bytes, decoded, fileName, folderOf, moment, plural } from "../state/names";
import { remove, removed } from "../state/removals";
import { collection, mayWrite } from "../state/service";
import { state } from "../state/address";
import { whereOf } from "../state/where";

const STEP = 30;
type Tier = Duplicate["tier"];

export function Duplicates() {
  const where = whereOf(state.value);
  const read = useSignal(0);
  const asked = useAsked(JSON.stringify([collection.value, where]), (signal) =>
    postUntilDone("/v1/duplicates", { collection: collection.peek(), ...(where === null ? {} : { where }) }, (working) => (read.value = working.pictures_read), signal),
  );
  const tier = useSignal<Tier>("copy");
  const shown = useSignal(STEP);
  /** What the reader decided, where it is not what is proposed. */
  const decided = useSignal<ReadonlyMap<string, boolean>>(new Map());
  const { answer, error } = asked.value;

  const goes = (one: Duplicate) => decided.value.get(one.id) ?? (one.tier === "copy" && one.removable);
  const groups = useComputed(() => {
    const gone = removed.value;
    return (asked.value.answer?.groups ?? [])
      .map((group) => ({ ...group, others: group.others.filter((one) => one.tier === tier.value && !gone.has(one.id)) }))
      .filter((group) => group.others.length && !gone.has(group.representative.id));
  });
  const counts = useComputed(() => {
    const others = (asked.value.answer?.groups ?? []).flatMap((group) => group.others).filter((one) => !removed.value.has(one.id));
    return { copy: others.filter((one) => one.tier === "copy").length, changed: others.filter((one) => one.tier === "changed").length };
  });
  if (error) return <p class="empty">{error}</p>;
  if (!answer) return <p class="empty" aria-live="polite">Looking for duplicates: {read.value ? `${plural(read.value, "picture")} read so far` : "of many pictures this takes a while"}.</p>;

  const marked = groups.value.flatMap((group) => group.others.filter(goes));
  const freed = marked.reduce((sum, one) => sum + (Number(one.facts["_bytes"]) || 0), 0);
  const toggle = (one: Duplicate) => {
    decided.value = new Map(decided.value).set(one.id, !goes(one));
  };
  return (
    <section class="duplicates" aria-labelledby="duplicates-title">
      <header>
        <h1 id="duplicates-title">Duplicates</h1>
        <div class="switch" role="group" aria-label="Which">
          {(["copy", "changed"] as const).map((one) => (
            <button type="button" key={one} aria-pressed={tier.value === one} onClick={() => (tier.value = one)}>
              {one === "copy" ? "Same picture" : "Same picture, changed"} <span class="count">{counts.value[one]}</span>
            </button>
          ))}
        </div>
      </header>
      {groups.value.length === 0 && (
        <p class="empty">{tier.value === "copy" ? "No picture is here twice." : "No picture is here in a changed version."} Files are compared by their pixels.</p>
      )}
      {groups.value.slice(0, shown.value).map((group) => (
        <Group key={group.representative.id} group={group} goes={goes} onToggle={toggle} />
      ))}
      {groups.value.length > shown.value && (
        <button type="button" onClick={() => (shown.value += STEP * 2)}>
          More groups ({groups.value.length - shown.value})
        </button>
      )}
      {groups.value.length > 0 && (
        <footer class="review">
          <strong aria-live="polite">
            {plural(marked.length, "file")} marked, {bytes(freed)}
          </strong>
          <div class="selection-actions">
            <button type="button" onClick={() => (decided.value = new Map(groups.value.flatMap((group) => group.others).map((one) => [one.id, one.removable])))}>
              <Icon name="check" /> <span>Mark all copies</span>
            </button>
            <button type="button" onClick={() => (decided.value = new Map(groups.value.flatMap((group) => group.others).map((one) => [one.id, false])))}>
              <span>Mark none</span>
            </button>
            <button type="button" disabled={!marked.length} onClick={() => save("duplicates.txt", "text/plain", listOf(marked))}>
              <Icon name="save" /> <span>List of files</span>
            </button>
            {mayWrite.value && (
              <button type="button" class="primary" disabled={!marked.length} onClick={() => remove(marked.map((one) => one.id))}>
                <Icon name="trash" /> <span>Remove from the collection</span>
              </button>
            )}
          </div>
          <p class="hint">No file is deleted. An index job takes up again what still lies in its folder.</p>
        </footer>
      )}
    </section>
  );
}

function Group({ group, goes, onToggle }: { group: DuplicateGroup; goes: (one: Duplicate) => boolean; onToggle: (one: Duplicate) => void }) {
  const { representative, others } = group;
  return (
    <ul class="group" aria-label={`${others.length + 1} files of one picture`}>
      <Member picture={representative} label="Keep" why={whyKept(representative, others)} />
      {others.map((one) => (
        <Member key={one.id} picture={one} label={goes(one) ? "Remove" : "Keep"} why={whyOther(one)} onToggle={() => onToggle(one)} goes={goes(one)} />
      ))}
    </ul>
  );
}

interface MemberProps {
  picture: Picture;
  label: string;
  why: string;
  goes?: boolean;
  onToggle?: () => void;
}

function Member({ picture, label, why, goes = false, onToggle }: MemberProps) {
  const { facts, uri } = picture;
  const name = fileName(uri);
  return (
    <li class={`member${onToggle ? "" : " is-kept"}${goes ? " is-going" : ""}`}>
      <button type="button" class="member-picture" aria-label={`Open ${name}`} onClick={() => go({ open: picture.id })}>
        <Thumbnail picture={picture} size={200 * Math.max(1, ratioOf(picture))} alt="" />
      </button>
      <div class="member-facts">
        <bdi class="member-name">{name}</bdi>
        <bdi class="hint" title={decoded(uri)}>
          {decoded(folderOf(uri).split("/").slice(-3, -1).join("/"))}
        </bdi>
        <span>
          {String(facts["_width"])} × {String(facts["_height"])} · {String(facts["_format"])} · {bytes(Number(facts["_bytes"]) || 0)}
        </span>
        {typeof facts["_taken_at"] === "string" && <span>{moment(facts["_taken_at"])}</span>}
        <span class="hint">{why}</span>
      </div>
      {onToggle ? (
        <label class="member-choice">
          <input type="checkbox" checked={goes} aria-label={`Remove ${name}`} onChange={onToggle} /> {label}
        </label>
      ) : (
        <span class="member-choice">
          <Icon name="check" /> {label}
        </span>
      )}
    </li>
  );
}

/** What sets the best apart, as far as it can be told from what was noted. */
function whyKept(best: Picture, others: readonly Duplicate[]): string {
  const pixels = (one: Picture) => Number(one.facts["_width"]) * Number(one.facts["_height"]);
  const size = (one: Picture) => Number(one.facts["_bytes"]);
  if (others.every((one) => pixels(best) > pixels(one))) return "Best: the most pixels.";
  if (others.every((one) => pixels(best) >= pixels(one) && size(best) > size(one))) return "Best: the least compressed.";
  if (others.every((one) => one.facts["_sha256"] === best.facts["_sha256"])) return "The first of equal files.";
  return "Best of the group.";
}

function whyOther(one: Duplicate): string {
  const how = one.why.length ? one.why.join(", ") : one.exact ? "the same bytes" : "the same pixels";
  return one.removable ? `A copy: ${how}.` : one.tier === "changed" ? `Changed: ${how}.` : `A copy (${how}), but its file was not at hand to be sure.`;
}
