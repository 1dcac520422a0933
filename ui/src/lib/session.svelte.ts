// Who we are, what we may see, and what the server can do.
import { Problem, get, whenLeft } from "./api";
import { keepLang, preferred, speak, type Lang } from "./i18n.svelte";
import { setTheme } from "./theme.svelte";
import type { Catalogue, Session } from "./types";

export const pageNames = ["overview", "trace", "check", "bounces", "reports", "monitors", "queue", "blocks", "inbox", "rules", "settings"] as const;

// The first question of each page: it is absent from the menu where the server does not know it, or not for us.
const asks: Record<string, string> = {
  overview: "overview",
  trace: "trace",
  check: "catalogue",
  bounces: "bounces",
  reports: "reports/dmarc",
  monitors: "monitors",
  queue: "queue",
  blocks: "blocks",
  inbox: "inbox",
  rules: "rules",
};

let session: Session | undefined = $state.raw();
let pages: string[] = $state.raw([]);
let catalogue: Catalogue | undefined = $state.raw();
let failed: Problem | undefined = $state.raw();

export const me = () => session;
export const menu = () => pages;
export const kinds = () => catalogue;
export const failure = () => failed;

const ranks = ["viewer", "helpdesk", "operator", "approver", "admin"];

// may tells whether our role is at least the named one.
export const may = (role: string): boolean => ranks.indexOf(session?.user?.role ?? "") >= ranks.indexOf(role);

whenLeft(() => {
  if (session?.user) session = { ...session, user: null };
});

export async function start(): Promise<void> {
  await speak(preferred());
  await refresh();
}

// refresh asks again who we are: after a login, a logout, a change of language.
export async function refresh(): Promise<void> {
  try {
    session = await get<Session>("session");
    failed = undefined;
  } catch (e) {
    failed = e instanceof Problem ? e : new Problem(0, "", "", "");
    return;
  }
  if (!session.user) {
    pages = []; // the next user may see others
    catalogue = undefined;
    return;
  }
  const own = session.user.lang;
  if (own === "en" || own === "zh") {
    keepLang(own);
    await speak(own);
  }
  if (session.user.theme === "light" || session.user.theme === "dark") setTheme(session.user.theme);
  // The page asked for begins at once; its forms follow with the catalogue.
  const known = get<Catalogue>("catalogue").catch(() => undefined);
  const there = session.pages ?? (await probe());
  pages = pageNames.filter((p) => there.includes(p)); // in the order of the menu
  catalogue = await known;
}

// relearn asks for the catalogue in another language.
export async function relearn(l: Lang): Promise<void> {
  keepLang(l);
  await speak(l);
  if (session?.user) catalogue = await get<Catalogue>("catalogue").catch(() => catalogue);
}

async function probe(): Promise<string[]> {
  const there = await Promise.all(
    pageNames.map(async (p) => {
      const path = asks[p];
      if (!path) return true;
      try {
        await get(path, { limit: 1 });
        return true;
      } catch (e) {
        return !(e instanceof Problem && (e.status === 404 || e.status === 403));
      }
    }),
  );
  return pageNames.filter((_, i) => there[i]);
}
