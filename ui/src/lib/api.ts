// The one door to the server: JSON in, JSON or a problem (RFC 9457) out. Addresses are relative to the page's own, so
// that the page works below any prefix.
import { lang } from "./i18n.svelte";

const root = "api/v1/";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly field: string,
  ) {
    super(detail || title);
  }
}

export type Query = Record<string, string | number | boolean | undefined | null>;

function address(path: string, query: Query = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== null && v !== "") q.set(k, String(v));
  if (!q.has("lang")) q.set("lang", lang());
  return `${root}${path}?${q}`;
}

let onLeft: () => void = () => {};

// whenLeft is called when the server no longer knows who we are.
export function whenLeft(f: () => void): void {
  onLeft = f;
}

async function call<T>(method: string, path: string, query?: Query, body?: unknown, signal?: AbortSignal): Promise<T> {
  let r: Response;
  try {
    const init: RequestInit = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { ...init.headers, "Content-Type": "application/json" };
    }
    if (signal) init.signal = signal;
    r = await fetch(address(path, query), init);
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Problem(0, "", "", "");
  }
  if (r.ok) return (r.status === 204 || r.headers.get("Content-Length") === "0" ? undefined : await r.json()) as T;
  if (r.status === 401 && path !== "login") onLeft();
  throw await problemOf(r);
}

async function problemOf(r: Response): Promise<Problem> {
  try {
    const p = (await r.json()) as { title?: string; detail?: string; field?: string; errors?: { message?: string; location?: string }[] };
    const more = (p.errors ?? []).map((e) => [e.location, e.message].filter(Boolean).join(": ")).join("; ");
    const field = p.field ?? p.errors?.[0]?.location?.split(".").at(-1) ?? "";
    return new Problem(r.status, p.title ?? "", [p.detail, more].filter(Boolean).join(" "), field);
  } catch {
    return new Problem(r.status, r.statusText, "", "");
  }
}

export const get = <T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> => call<T>("GET", path, query, undefined, signal);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => call<T>("POST", path, {}, body);
export const put = <T>(path: string, body: unknown): Promise<T> => call<T>("PUT", path, {}, body);
export const del = <T>(path: string): Promise<T> => call<T>("DELETE", path);

// stream follows server-sent events until the server says done, or it breaks off; the returned function ends it.
export function stream(path: string, query: Query, on: Record<string, (data: never) => void>, broken: () => void): () => void {
  const s = new EventSource(address(path, query));
  let ended = false;
  const end = (): void => {
    ended = true;
    s.close();
  };
  for (const [name, f] of Object.entries(on)) {
    s.addEventListener(name, (e) => {
      if (ended) return;
      const text = (e as MessageEvent<string>).data;
      if (name === "done" || name === "problem") end();
      (f as (d: unknown) => void)(text ? JSON.parse(text) : {});
    });
  }
  s.onerror = () => {
    if (ended) return;
    end();
    broken();
  };
  return end;
}
