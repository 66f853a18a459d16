// Every request to the service: typed by its OpenAPI, with the key, problems as errors, and a word when it is not there.
import { signal } from "@preact/signals";
import { key, keyAsked } from "./key";
import type { Problem, Working } from "./models";
import type { paths } from "./schema";

type Method = "get" | "post" | "patch" | "delete";
type PathsWith<M extends Method> = { [P in keyof paths]: paths[P][M] extends { responses: unknown } ? P : never }[keyof paths];
type Json<R> = R extends { responses: { 200: { content: { "application/json": infer A } } } } ? A : never;
type Query<R> = R extends { parameters: { query?: infer Q } } ? NonNullable<Q> : never;
type Body<R> = R extends { requestBody?: infer B } ? (NonNullable<B> extends { content: { "application/json": infer J } } ? J : never) : never;
// Fields with a default are optional in a request, whatever the generator says of answers.
type Given<T> = Partial<T>;

/** The code of an answer that is no problem as the service tells them. */
const UNKNOWN = "unknown";
const GATEWAY: readonly number[] = [502, 503, 504];

/** Whether the service answered the last time it was asked. */
export const online = signal(true);
/** Counts up when what the collection holds may have changed: everything that is shown is asked for again. */
export const revision = signal(0);

/** A problem (RFC 9457) that the service answered with. */
export class ServiceProblem extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export function isAborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** What to say of anything that was thrown. */
export function messageOf(error: unknown): string {
  // Below the first line of a filter's fault the service draws an arrow, for terminals.
  if (error instanceof ServiceProblem) return error.problem.detail.split("\n")[0] ?? "";
  if (error instanceof TypeError) return "The service does not answer.";
  return error instanceof Error ? error.message : String(error);
}

export function get<P extends PathsWith<"get">>(path: P, query: Given<Query<paths[P]["get"]>> = {}, signal?: AbortSignal): Promise<Json<paths[P]["get"]>> {
  return send("GET", withQuery(path, query), undefined, signal);
}

export function post<P extends PathsWith<"post">>(path: P, body: Given<Body<paths[P]["post"]>>, signal?: AbortSignal): Promise<Json<paths[P]["post"]>> {
  return send("POST", path, JSON.stringify(body), signal);
}

/** The same as `post`, of a question that may take long: `tell` is called with what the service says until it has the answer. */
export async function postUntilDone<P extends PathsWith<"post">>(path: P, body: Given<Body<paths[P]["post"]>>, tell: (working: Working) => void, signal?: AbortSignal): Promise<Json<paths[P]["post"]>> {
  let asked: object = { ...body, wait: 2 };
  for (;;) {
    const response = await answered("POST", path, JSON.stringify(asked), signal);
    if (response.status !== 202) return response.json() as Promise<Json<paths[P]["post"]>>;
    const working = (await response.json()) as Working;
    tell(working);
    asked = { ...asked, ticket: working.ticket };
  }
}

export function patch<P extends PathsWith<"patch">>(path: P, body: Given<Body<paths[P]["patch"]>>): Promise<Json<paths[P]["patch"]>> {
  return send("PATCH", path, JSON.stringify(body));
}

/** The same request as `post`, as a form with pictures. */
export function postForm<P extends PathsWith<"post">>(path: P, pictures: readonly Blob[], body: Given<Body<paths[P]["post"]>>, signal?: AbortSignal): Promise<Json<paths[P]["post"]>> {
  const form = new FormData();
  for (const picture of pictures) form.append("picture", picture, "picture");
  for (const [name, value] of Object.entries(body)) {
    if (value !== undefined && value !== null) form.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return send("POST", path, form, signal);
}

/** What a deletion asks in the moment the page goes away. */
export function postLast(path: PathsWith<"post">, body: unknown): void {
  fetch(address(path), { method: "POST", headers: headers("json"), body: JSON.stringify(body), keepalive: true }).catch(() => undefined);
}

/** The bytes of an answer that is no JSON, such as a thumbnail. */
export async function getBlob(path: string, signal?: AbortSignal): Promise<Blob> {
  return (await answered("GET", path, undefined, signal)).blob();
}

export function address(path: string): string {
  return path.replace(/^\//, "");
}

export function withQuery(path: string, query: object): string {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null) words.append(name, String(one));
    }
  }
  return words.size ? `${path}?${words}` : path;
}

async function send<A>(method: string, path: string, body?: string | FormData, signal?: AbortSignal): Promise<A> {
  return (await answered(method, path, body, signal)).json() as Promise<A>;
}

async function answered(method: string, path: string, body?: string | FormData, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path), { method, headers: headers(typeof body === "string" ? "json" : ""), body: body ?? null, signal: signal ?? null });
  } catch (error) {
    if (!isAborted(error)) lost();
    throw error;
  }
  if (response.ok) {
    online.value = true;
    return response;
  }
  const problem = await problemOf(response);
  // What stands before the service may answer for one that is being started again.
  if (problem.code === UNKNOWN && GATEWAY.includes(response.status)) lost();
  else online.value = true;
  if (response.status === 401) keyAsked.value = problem.detail;
  throw new ServiceProblem(problem);
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { type: "about:blank", title: response.statusText, status: response.status, detail: `The service answered ${response.status} ${response.statusText}.`, code: UNKNOWN };
  }
}

function headers(kind: string): Record<string, string> {
  return { ...(kind === "json" ? { "Content-Type": "application/json" } : {}), ...(key.value ? { Authorization: `Bearer ${key.value}` } : {}) };
}

/** Ask until the service is there again, then let everything be asked for anew. */
function lost(): void {
  if (!online.value) return;
  online.value = false;
  const again = async () => {
    try {
      if ((await fetch("readyz")).ok) {
        online.value = true;
        revision.value += 1;
        return;
      }
    } catch {
      // not yet
    }
    setTimeout(again, 1500);
  };
  setTimeout(again, 1000);
}
