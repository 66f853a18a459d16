// The folders of the pictures: where one is now, what is above it, and what is in it.
import { get } from "../api/call";
import { Icon } from "../parts/Icon";
import { useAsked } from "../parts/asked";
import { go, state } from "../state/address";
import { decoded, fileName } from "../state/names";
import { collection } from "../state/service";
import { whereOf } from "../state/where";
import { Section } from "./Filters";

export function FolderFilter() {
  const { folder } = state.value;
  return <Section name="Folders" open chosen={folder !== ""}>{() => <FolderList folder={folder} />}</Section>;
}

function FolderList({ folder }: { folder: string }) {
  const where = whereOf({ ...state.value, folder: "" });
  const asked = useAsked(JSON.stringify([collection.value, folder, where]), (signal) => get("/v1/folders", { uri: folder || null, where, collection: collection.peek() }, signal));
  const top = useAsked(JSON.stringify([collection.value]), (signal) => get("/v1/folders", { collection: collection.peek() }, signal)).value.answer?.uri ?? "";
  const { answer, error } = asked.value;
  if (error) return <p class="hint">{error}</p>;
  if (!answer) return <p class="hint">…</p>;
  const above = folder.startsWith(top) ? folder.slice(top.length).split("/").filter(Boolean) : [];
  return (
    <>
      {folder && (
        <nav class="path" aria-label="Folder">
          <button type="button" onClick={() => go({ folder: "" })}>
            All
          </button>
          {above.map((name, place) => {
            const uri = `${top}${above.slice(0, place + 1).join("/")}/`;
            return (
              <button type="button" key={uri} aria-current={uri === folder ? "location" : undefined} onClick={() => go({ folder: uri })}>
                <bdi>{decoded(name)}</bdi>
              </button>
            );
          })}
        </nav>
      )}
      <ul class="facet is-long">
        {answer.folders.map((one) => (
          <li key={one.uri}>
            <button type="button" class="folder" onClick={() => go({ folder: one.uri })}>
              <Icon name="folder" />
              <bdi>{fileName(one.uri)}</bdi>
              <span class="count">{one.count.toLocaleString()}</span>
            </button>
          </li>
        ))}
      </ul>
      {!answer.folders.length && <p class="hint">{folder ? "No folders in it." : "All pictures lie in one folder."}</p>}
    </>
  );
}
