// Pictures that were dropped, pasted or picked. The address names them by content; the browser keeps them, so that a page that
// is loaded again, or gone back to, still has them.

const PREFIX = "upload:";
const DATABASE = "semblant-uploads";
const MOST_KEPT = 40;
const kept = new Map<string, Blob>();
let count = 0;

export function isUpload(example: string): boolean {
  return example.startsWith(PREFIX);
}

/** Keep a picture, and its name for the address. */
export async function keepUpload(picture: Blob): Promise<string> {
  const name = PREFIX + (await fingerprint(picture));
  kept.set(name, picture);
  try {
    const store = await open("readwrite");
    store.put({ name, picture, time: Date.now() });
    await bound(store);
  } catch {
    // Storage that is full or not allowed: it is good until the page is loaded again.
  }
  return name;
}

/** The picture of that name, or null where this browser does not have it. */
export async function upload(name: string): Promise<Blob | null> {
  const known = kept.get(name);
  if (known) return known;
  try {
    const store = await open("readonly");
    const found = await done<{ picture: Blob } | undefined>(store.get(name));
    if (!found) return null;
    kept.set(name, found.picture);
    return found.picture;
  } catch {
    return null;
  }
}

async function fingerprint(picture: Blob): Promise<string> {
  const data = await picture.arrayBuffer();
  if (!globalThis.crypto?.subtle) return `${data.byteLength}-${Date.now()}-${(count += 1)}`; // a page that was not loaded securely
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return [...digest.slice(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function open(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "name" }).createIndex("time", "time");
  return (await done(request)).transaction("pictures", mode).objectStore("pictures");
}

/** Forget the oldest. */
async function bound(store: IDBObjectStore): Promise<void> {
  let over = (await done(store.count())) - MOST_KEPT;
  const cursor = store.index("time").openKeyCursor();
  cursor.onsuccess = () => {
    const found = cursor.result;
    if (!found || over <= 0) return;
    over -= 1;
    store.delete(found.primaryKey);
    found.continue();
  };
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed"));
  });
}
