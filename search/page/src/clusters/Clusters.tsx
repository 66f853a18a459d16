// Clusters as cards: what they look like, what they have in common, and what people make of them.
import { useSignal } from "@preact/signals";
import { get, messageOf, patch, post, revision } from "../api/call";
import type { Cluster, Clusters as Answer } from "../api/models";
import { NoneYet, useMapFacts } from "../map/making";
import { Icon } from "../parts/Icon";
import { useAsked } from "../parts/asked";
import { EMPTY, go, state } from "../state/address";
import { say } from "../state/notices";
import { plural } from "../state/names";
import { collection, mayWrite } from "../state/service";
import { ClusterCard } from "./ClusterCard";

export function Clusters() {
  const again = useSignal(0);
  const { facts, error } = useMapFacts(JSON.stringify([collection.value, revision.value, again.value]));
  if (error) return <p class="empty is-problem" role="alert">{error}</p>;
  if (!facts) return <p class="empty">…</p>;
  if (facts.clusters_version === null) return <NoneYet kind="clusters" facts={facts} onBegun={() => (again.value += 1)} />;
  return <Cards mapped={facts.map_version !== null} />;
}

function Cards({ mapped }: { mapped: boolean }) {
  const asked = useAsked(collection.value, (signal) => get("/v1/clusters", { collection: collection.peek() }, signal));
  /** What the last change answered with. */
  const changed = useSignal<Answer | null>(null);
  const marked = useSignal<ReadonlySet<number>>(new Set());
  const busy = useSignal(false);
  const answer = changed.value && (!asked.value.answer || changed.value.version >= asked.value.answer.version) ? changed.value : asked.value.answer;
  if (asked.value.error) return <p class="empty is-problem" role="alert">{asked.value.error}</p>;
  if (!answer) return <p class="empty">…</p>;

  const change = async (make: () => Promise<Answer>, done: string) => {
    busy.value = true;
    try {
      changed.value = await make();
      marked.value = new Set();
      say(done);
    } catch (error) {
      say(messageOf(error));
    }
    busy.value = false;
  };
  const within = () => ({ collection: collection.peek() });
  const rename = (one: Cluster, name: string) => change(() => patch(`/v1/clusters/${one.cluster}` as "/v1/clusters/{cluster}", { name: name || null, ...within() }), name ? "Named." : "The name is gone.");
  const split = (one: Cluster) => change(() => post("/v1/clusters/split", { cluster: one.cluster, ...within() }), "Split in two.");
  const merge = () => change(() => post("/v1/clusters/merge", { clusters: [...marked.peek()], ...within() }), "They are one now.");
  const mark = (one: Cluster) => {
    const next = new Set(marked.peek());
    if (!next.delete(one.cluster)) next.add(one.cluster);
    marked.value = next;
  };
  const clusters = [...answer.clusters].sort((one, other) => other.pictures - one.pictures);
  return (
    <section class="clusters" aria-labelledby="clusters-title" aria-busy={busy.value}>
      <header>
        <h1 id="clusters-title">Clusters</h1>
        <p class="hint">{plural(clusters.length, "group")} of pictures that look alike</p>
        {answer.in_none > 0 && (
          <button type="button" title="They lie alone: _cluster is −1" onClick={() => go({ ...EMPTY, collection: state.peek().collection, view: "pictures", values: { _cluster: ["-1"] } })}>
            {plural(answer.in_none, "picture")} in no cluster
          </button>
        )}
        {mapped && (
          <button type="button" onClick={() => go({ ...EMPTY, collection: state.peek().collection, view: "map", colour: "_cluster" })}>
            <Icon name="whole" /> On the map
          </button>
        )}
      </header>
      <ul class="cluster-cards">
        {clusters.map((one) => (
          <ClusterCard key={one.cluster} cluster={one} mapped={mapped} marked={marked.value.has(one.cluster)} busy={busy.value} onName={(name) => void rename(one, name)} onSplit={() => void split(one)} onMark={() => mark(one)} />
        ))}
      </ul>
      {marked.value.size > 0 && mayWrite.value && (
        <footer class="review">
          <strong aria-live="polite">{plural(marked.value.size, "cluster")} marked</strong>
          <div class="selection-actions">
            <button type="button" onClick={() => (marked.value = new Set())}>
              Mark none
            </button>
            <button type="button" class="primary" disabled={marked.value.size < 2 || busy.value} onClick={() => void merge()}>
              Make them one
            </button>
          </div>
        </footer>
      )}
    </section>
  );
}
