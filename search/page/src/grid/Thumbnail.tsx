// One small picture. It is asked for a moment after its tile appeared, and given up with it: a fast scroll past thousands of
// pictures must not queue them all.
import { useEffect, useRef, useState } from "preact/hooks";
import { getBlob, isAborted, withQuery } from "../api/call";
import { key } from "../api/key";
import { collection } from "../state/service";
import type { Picture } from "../api/models";
import { Icon } from "../parts/Icon";
import { fileName } from "../state/names";

const LATE = 60;
const SIZES = [64, 128, 256, 512, 1024];

interface Props {
  picture: Pick<Picture, "id" | "uri" | "facts">;
  /** Pixels of the longer side, as CSS counts them. */
  size: number;
  alt: string;
  late?: boolean;
  onLoad?: (image: HTMLImageElement) => void;
}

export function Thumbnail({ picture, size, alt, late = true, onLoad }: Props) {
  const image = useRef<HTMLImageElement>(null);
  const [failed, setFailed] = useState(false);
  const source = thumbnailAddress(picture, size);

  useEffect(() => {
    const shown = image.current;
    if (!shown) return;
    setFailed(false);
    const giving = new AbortController();
    let kept = "";
    const begin = async () => {
      if (!key.peek()) {
        shown.src = source;
        return;
      }
      try {
        kept = URL.createObjectURL(await getBlob(source, giving.signal));
        if (giving.signal.aborted) URL.revokeObjectURL(kept);
        else shown.src = kept;
      } catch (error) {
        if (!isAborted(error)) setFailed(true);
      }
    };
    const timer = setTimeout(() => void begin(), late ? LATE : 0);
    return () => {
      clearTimeout(timer);
      giving.abort();
      shown.removeAttribute("src");
      if (kept) URL.revokeObjectURL(kept);
    };
  }, [source]);

  return (
    <>
      <img
        ref={image}
        class="thumbnail"
        alt={alt}
        decoding="async"
        draggable={false}
        hidden={failed}
        onLoad={(event) => {
          event.currentTarget.classList.add("is-loaded");
          onLoad?.(event.currentTarget);
        }}
        onError={() => image.current?.hasAttribute("src") && setFailed(true)}
      />
      {failed && (
        <span class="thumbnail-failed">
          <Icon name="missing" />
          <bdi>{fileName(picture.uri)}</bdi>
        </span>
      )}
    </>
  );
}

export function thumbnailAddress(picture: Pick<Picture, "id" | "facts">, size: number): string {
  const needed = size * Math.min(window.devicePixelRatio || 1, 2);
  const side = SIZES.find((one) => one >= needed * 0.8) ?? 1024;
  const content = picture.facts["_sha256"];
  const version = typeof content === "string" ? content.slice(0, 16) : undefined;
  return withQuery(`v1/pictures/${picture.id}/thumbnail`, { size: side, v: version, collection: collection.peek() });
}

/** Width ÷ height of a picture, as it was indexed. */
export function ratioOf(picture: Pick<Picture, "facts">): number {
  const width = Number(picture.facts["_width"]);
  const height = Number(picture.facts["_height"]);
  return width > 0 && height > 0 ? width / height : 1;
}
