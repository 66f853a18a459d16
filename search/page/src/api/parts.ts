// Changes of any number of pictures: the service takes so many at a time, and refuses all of them for one that is gone.
import { ServiceProblem, post } from "./call";

const AT_ONCE = 10_000;

/** Change pictures, some at a time; how many were. One that went away meanwhile is left out: the others are changed all the same. */
export async function inParts(collection: string, ids: readonly string[], change: (pictures: string[]) => Promise<{ count: number }>): Promise<number> {
  let changed = 0;
  for (const part of partsOf(ids)) {
    try {
      changed += (await change(part)).count;
    } catch (error) {
      if (!(error instanceof ServiceProblem && error.problem.code === "picture-not-found")) throw error;
      const left = await stillThere(collection, part);
      if (left.length) changed += (await change(left)).count;
    }
  }
  return changed;
}

/** Those that the collection has. */
export async function stillThere(collection: string, ids: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const part of partsOf(ids)) {
    const { pictures } = await post("/v1/pictures/get", { collection, pictures: part });
    found.push(...pictures.flatMap((one) => (one ? [one.id] : [])));
  }
  return found;
}

function partsOf(ids: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, part) => ids.slice(part * AT_ONCE, (part + 1) * AT_ONCE));
}
