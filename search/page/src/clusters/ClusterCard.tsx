// One cluster: its most typical pictures, its name, and the values that tell it from the others.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Cluster } from "../api/models";
import { Thumbnail } from "../grid/Thumbnail";
import { Icon } from "../parts/Icon";
import { EMPTY, type State, go, href, state } from "../state/address";
import { fieldLabel, plural, shownValue } from "../state/names";
import { mayWrite } from "../state/service";

interface Props {
  cluster: Cluster;
  mapped: boolean;
  marked: boolean;
  busy: boolean;
  onName: (name: string) => void;
  onSplit: () => void;
  onMark: () => void;
}

const SHOWN = 6;
const VALUES = 3;

export function ClusterCard({ cluster, mapped, marked, busy, onName, onSplit, onMark }: Props) {
  const naming = useSignal(false);
  const name = cluster.name ?? `Cluster ${cluster.cluster}`;
  const within = (view: State["view"]): State => ({ ...EMPTY, collection: state.value.collection, view, values: { _cluster: [String(cluster.cluster)] } });
  const follow = (event: MouseEvent, to: State) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <li class={`cluster-card${marked ? " is-marked" : ""}`}>
      <a class="cluster-pictures" href={href(within("pictures"))} aria-label={`${name}: show its ${plural(cluster.pictures, "picture")}`} onClick={(event) => follow(event, within("pictures"))}>
        {cluster.representatives.slice(0, SHOWN).map((one) => (
          <span key={one.id}>
            <Thumbnail picture={one} size={160} alt="" late={false} />
          </span>
        ))}
      </a>
      <div class="cluster-title">
        {naming.value ? (
          <Naming name={cluster.name ?? ""} onDone={(given) => {
            naming.value = false;
            if (given !== null && given !== (cluster.name ?? "")) onName(given);
          }} />
        ) : (
          <h2>
            <bdi>{name}</bdi>
          </h2>
        )}
        <span class="count">{plural(cluster.pictures, "picture")}</span>
      </div>
      <ul class="cluster-values">
        {cluster.values.slice(0, VALUES).map((one) => (
          <li key={`${one.field} ${JSON.stringify(one.value)}`} title={`${percent(one.share)} here, ${percent(one.elsewhere)} elsewhere`}>
            <span class="hint">{fieldLabel(one.field)}</span> <bdi>{shownValue(one.value, one.field)}</bdi> <b>{percent(one.share)}</b>
          </li>
        ))}
      </ul>
      <div class="cluster-acts">
        {mapped && (
          <a class="button" href={href(within("map"))} onClick={(event) => follow(event, within("map"))}>
            <Icon name="whole" /> Map
          </a>
        )}
        {mayWrite.value && (
          <>
            <button type="button" disabled={busy} aria-label={`Name ${name}`} title="Name it" onClick={() => (naming.value = true)}>
              <Icon name="pencil" />
            </button>
            <button type="button" disabled={busy || cluster.pictures < 2} aria-label={`Split ${name}`} onClick={onSplit}>
              Split
            </button>
            <label class="cluster-mark">
              <input type="checkbox" checked={marked} aria-label={`Mark ${name} to make it one with others`} onChange={onMark} /> Merge
            </label>
          </>
        )}
      </div>
    </li>
  );
}

/** Enter keeps the name, Escape leaves it as it was. */
function Naming({ name, onDone }: { name: string; onDone: (name: string | null) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onDone(input.current?.value.trim() ?? null);
      }}
    >
      <input type="text" ref={input} aria-label="Name" maxLength={200} defaultValue={name} onKeyDown={(event) => event.key === "Escape" && onDone(null)} onBlur={() => onDone(input.current?.value.trim() ?? null)} />
    </form>
  );
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

