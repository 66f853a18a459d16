// One picture, large, with all that is known about it and what looks like it.
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Picture, Shown } from "../api/models";
import { getBlob, isAborted, messageOf } from "../api/call";
import { key } from "../api/key";
import { thumbnailAddress } from "../grid/Thumbnail";
import { useAsked } from "../parts/asked";
import { Icon } from "../parts/Icon";
import { Notices } from "../parts/Notices";
import { originalAddress, pictureOf } from "../parts/pictures";
import { go, state } from "../state/address";
import { fileName, shownUri } from "../state/names";
import { loadMore, more, results } from "../state/results";
import { about, collection } from "../state/service";
import { Facts } from "./Facts";
import { Proof } from "./Proof";

export function Viewer() {
  const id = state.value.open;
  const dialog = useRef<HTMLDialogElement>(null);
  const last = useRef(id);
  if (id) last.current = id;
  const why = useSignal(false);
  const shown: readonly Shown[] = state.value.view === "pictures" ? results.value : [];
  const place = shown.findIndex((one) => one.id === id);
  const asked = useAsked(JSON.stringify([collection.value, id]), () => pictureOf(id));
  const picture: Shown | null = shown[place] ?? (asked.value.answer?.id === id ? asked.value.answer : null);

  useLayoutEffect(() => {
    const modal = dialog.current;
    modal?.showModal();
    return () => {
      // A modal dialog that only goes leaves the keyboard nowhere; closed, it gives it back at once.
      modal?.close();
      dispatchEvent(new CustomEvent("viewer-closed", { detail: last.current }));
    };
  }, []);
  useEffect(() => {
    why.value = false;
    if (place >= 0 && place > shown.length - 4 && more.peek()) void loadMore();
  }, [id]);

  const close = () => go({ open: "" });
  const step = (by: number) => {
    const next = shown[place + by];
    if (place >= 0 && next) go({ open: next.id }, true);
  };
  const keys = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target !== document.body && !dialog.current?.contains(event.target as Node)) return;
    if (event.key === "ArrowRight") step(1);
    else if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "s" && picture) go({ like: [picture.id], unlike: [], region: [], open: "", view: "pictures" });
    else return;
    event.preventDefault();
  };
  // Heard everywhere: with what was in focus, such as the picture before, the focus goes to the page.
  useLayoutEffect(() => {
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });
  const name = picture ? fileName(picture.uri) : "Picture";
  return (
    <dialog
      ref={dialog}
      class="viewer"
      aria-label={name}
      onCancel={(event) => {
        event.preventDefault();
        if (why.value) why.value = false;
        else close();
      }}
    >
      <div class="viewer-stage">
        {picture && (why.value ? <Proof hit={picture} /> : <Large key={picture.id} picture={picture} />)}
        {!picture && asked.value.error && <p class="empty">{asked.value.error}</p>}
        {shown[place - 1] && (
          <button type="button" class="viewer-step is-left" aria-label="The one before" onClick={() => step(-1)}>
            <Icon name="left" />
          </button>
        )}
        {place >= 0 && shown[place + 1] && (
          <button type="button" class="viewer-step is-right" aria-label="The next one" onClick={() => step(1)}>
            <Icon name="right" />
          </button>
        )}
        <button type="button" class="viewer-close icon-button" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </div>
      {picture && <Facts picture={picture} why={why} />}
      {/* Over a modal dialog there is nothing but what is in it. */}
      <Notices />
    </dialog>
  );
}

/** The file itself, where the service gives it out, over its thumbnail; a click shows its pixels as they are. */
function Large({ picture }: { picture: Picture }) {
  const zoomed = useSignal(false);
  const preview = useRef<HTMLImageElement>(null);
  const full = useRef<HTMLImageElement>(null);
  const wide = Number(picture.facts["_width"]) || 1;
  const high = Number(picture.facts["_height"]) || 1;
  const originals = about.value?.originals ?? false;
  const small = thumbnailAddress(picture, 1024);
  const left = useRef(1); // of what may still be shown: its thumbnail, and the file itself
  const why = useSignal("");
  const failed = async (image: HTMLImageElement, address: string) => {
    image.hidden = true;
    left.current -= 1;
    if (left.current) return;
    // An image does not say why it failed: asked for once more, the service does.
    const said = await getBlob(address).then(() => "this browser cannot show it", messageOf);
    why.value = said.replace(/^'.*?': /, "");
  };

  useEffect(() => {
    left.current = originals ? 2 : 1;
    const giving = new AbortController();
    const made: string[] = [];
    const put = async (image: HTMLImageElement | null, address: string) => {
      if (!image) return;
      if (!key.peek()) {
        image.src = address;
        return;
      }
      try {
        const url = URL.createObjectURL(await getBlob(address, giving.signal));
        made.push(url);
        image.src = url;
      } catch (error) {
        if (!isAborted(error)) image.dispatchEvent(new Event("error"));
      }
    };
    void put(preview.current, small);
    if (originals) void put(full.current, originalAddress(picture));
    return () => {
      giving.abort();
      for (const image of [preview.current, full.current]) image?.removeAttribute("src");
      made.forEach((url) => URL.revokeObjectURL(url));
    };
  }, [picture.id, originals]);

  if (why.value)
    return (
      <div class="empty large-missing" role="status">
        <strong>The file is not at hand</strong>
        <bdi>{shownUri(picture.uri)}</bdi>
        <p>{why.value}</p>
      </div>
    );
  return (
    <button
      type="button"
      class={`large${zoomed.value ? " is-zoomed" : ""}`}
      aria-label={zoomed.value ? "Fit into the window" : "Show its pixels as they are"}
      onClick={() => (zoomed.value = !zoomed.value)}
    >
      <span class="large-frame" style={{ aspectRatio: `${wide} / ${high}`, "--ratio": String(wide / high), "--wide": `${wide}px`, "--high": `${high}px` }}>
        <img ref={preview} alt={fileName(picture.uri)} onError={(event) => void failed(event.currentTarget, small)} />
        {originals && <img ref={full} class="is-full" alt="" onLoad={(event) => event.currentTarget.classList.add("is-loaded")} onError={(event) => void failed(event.currentTarget, small)} />}
      </span>
    </button>
  );
}
