// Addresses within the page: #/name/part?key=value. The server never sees them.
export interface Route {
  page: string;
  part: string; // what stands behind the page's name
  query: URLSearchParams;
}

function read(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", ...rest] = path.split("/");
  return { page: page || "overview", part: rest.map(decode).join("/"), query: new URLSearchParams(query) };
}

function decode(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}

let now: Route = $state.raw(read());
addEventListener("hashchange", () => (now = read()));

export const route = (): Route => now;

export function href(page: string, part = "", query: Record<string, string | undefined> = {}): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v) q.set(k, v);
  const tail = q.toString();
  return `#/${page}${part ? "/" + encodeURIComponent(part) : ""}${tail ? "?" + tail : ""}`;
}

export function go(to: string): void {
  if (location.hash === to) now = read();
  else location.hash = to;
}

// replace changes the address without a step in the history.
export function replace(to: string): void {
  history.replaceState(null, "", to);
  now = read();
}
