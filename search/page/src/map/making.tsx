// A collection without a map or clusters: what to do, and where it is allowed, a button that does it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, messageOf, post } from "../api/call";
import type { MapFacts } from "../api/models";
import { Icon } from "../parts/Icon";
import { say } from "../state/notices";
import { collection } from "../state/service";

const SOON = 1000;

/** Which map and clusters there are, asked again while one is being made. */
export function useMapFacts(changes: string) {
  const facts = useSignal<MapFacts | null>(null);
  const error = useSignal("");
  useEffect(() => {
    let timer = 0;
    let gone = false;
    const ask = async () => {
      try {
        const told = await get("/v1/map", { collection: collection.peek() });
        if (gone) return;
        facts.value = told;
        error.value = "";
        if (told.making && !told.making.problem) timer = window.setTimeout(() => void ask(), SOON);
      } catch (thrown) {
        if (!gone) error.value = messageOf(thrown);
      }
    };
    void ask();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [changes]);
  return { facts: facts.value, error: error.value };
}

interface Props {
  kind: "map" | "clusters";
  facts: MapFacts;
  onBegun: () => void;
}

export function NoneYet({ kind, facts, onBegun }: Props) {
  const { making } = facts;
  const make = async () => {
    try {
      await post("/v1/map/make", { kind, collection: collection.peek() });
    } catch (thrown) {
      say(messageOf(thrown));
    }
    onBegun();
  };
  const what = kind === "map" ? "map" : "clusters";
  if (making && !making.problem)
    return (
      <div class="empty" role="status">
        <strong>{making.kind === "map" ? "The map is being made" : "Clusters are being made"}</strong>
        <progress aria-label="How far it is" {...(making.total ? { max: making.total, value: making.done } : {})} />
        <p>Of many pictures this takes some minutes. Searches go on meanwhile.</p>
      </div>
    );
  return (
    <div class="empty">
      <p>
        <strong>{kind === "map" ? "There is no map of these pictures yet." : "These pictures are in no clusters yet."}</strong>{" "}
        {kind === "map" ? "It lays them out so that those that look alike lie together." : "They sort pictures that look alike, and name what these have in common."}
      </p>
      {making?.problem && <p class="is-problem">{making.problem}</p>}
      {facts.may_make ? (
        <button type="button" class="primary" onClick={() => void make()}>
          <Icon name="retry" /> Make {kind === "map" ? "the map" : "clusters"}
        </button>
      ) : (
        <p>They are made where the database is:</p>
      )}
      <pre>semblant {what === "map" ? "map" : "cluster"} --db DATABASE</pre>
    </div>
  );
}
