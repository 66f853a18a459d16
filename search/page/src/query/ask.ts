// Asking with pictures from outside: dropped, pasted, picked or photographed.
import { messageOf } from "../api/call";
import { go } from "../state/address";
import { say } from "../state/notices";
import { about } from "../state/service";
import { bytes } from "../state/names";
import { keepUpload } from "../state/uploads";

export async function askWith(files: Iterable<Blob>): Promise<void> {
  const all = [...files];
  const pictures = all.filter((one) => one.type.startsWith("image/") || one.type === "");
  if (!pictures.length) {
    if (all.length) say("That is no picture. Drop a JPEG, PNG, WebP, HEIC or another kind of picture.");
    return;
  }
  const most = about.peek()?.max_body ?? Infinity;
  const large = pictures.find((one) => one.size > most);
  if (large) {
    say(`The picture has ${bytes(large.size)}; this service takes ${bytes(most)} at most.`);
    return;
  }
  try {
    const names = await Promise.all(pictures.slice(0, 10).map(keepUpload));
    go({ view: "pictures", like: names, unlike: [], region: [], by: "look", open: "" });
  } catch (error) {
    say(messageOf(error));
  }
}

/** Let the whole page take pictures; calls back with whether one is being dragged over it. */
export function takePictures(over: (dragging: boolean) => void): () => void {
  let depth = 0;
  const holds = (event: DragEvent) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const enter = (event: DragEvent) => {
    if (!holds(event)) return;
    event.preventDefault();
    depth += 1;
    over(true);
  };
  const leave = () => {
    depth = Math.max(0, depth - 1);
    if (!depth) over(false);
  };
  const stay = (event: DragEvent) => holds(event) && event.preventDefault();
  const drop = (event: DragEvent) => {
    depth = 0;
    over(false);
    if (!holds(event)) return;
    event.preventDefault();
    void askWith(event.dataTransfer?.files ?? []);
  };
  const paste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    void askWith(files);
  };
  addEventListener("dragenter", enter);
  addEventListener("dragleave", leave);
  addEventListener("dragover", stay);
  addEventListener("drop", drop);
  addEventListener("paste", paste);
  return () => {
    removeEventListener("dragenter", enter);
    removeEventListener("dragleave", leave);
    removeEventListener("dragover", stay);
    removeEventListener("drop", drop);
    removeEventListener("paste", paste);
  };
}
