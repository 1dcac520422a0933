// A stand-in for `mailwhy serve`, for work on the pages and for their tests: the API as agreed, with the policy and the
// roles of the real one, and reports that the tool itself makes of its demo.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import * as data from "./data.mjs";

const run = promisify(execFile);
const here = fileURLToPath(new URL(".", import.meta.url));
const tool = process.env.MAILWHY ?? join(here, "../../mailwhy");
const dist = join(here, "../../internal/web/dist");
const policy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const reports = new Map();
// demo gives the report of a demo domain, made by the tool itself.
async function demo(name, lang) {
  const key = `${name} ${lang}`;
  if (!reports.has(key)) {
    const out = await run(tool, ["demo", name, "--json", "--lang", lang], { maxBuffer: 64e6 }).catch((e) => e); // exit status 1: a fault was found
    reports.set(key, JSON.parse(out.stdout.trim().split("\n")[0]));
  }
  return reports.get(key);
}
const demoOf = { check: "broken", deliver: "strict", ip: "listed", tls: "locked", spf: "relay", bounce: "nobody", explain: "full" };

let rules;
async function allRules(lang) {
  rules ??= {};
  if (!rules[lang]) {
    const out = await run(tool, ["rules", "--json", "--lang", lang], { maxBuffer: 64e6 }).catch((e) => e);
    try {
      rules[lang] = ruleRows(JSON.parse(out.stdout));
    } catch {
      rules[lang] = [];
    }
  }
  return rules[lang];
}
const ruleRows = (v) => (Array.isArray(v) ? v : (v.rules ?? v.items ?? []));

// start listens on loopback; prefix is the path it is mounted at, as behind a proxy.
export async function start({ port = 0, prefix = "", setup = false, serveUI = true } = {}) {
  const s = {
    users: setup ? [] : [
      { id: "1", name: "li", password: "correct horse battery", role: "admin", lang: "", last_seen: new Date().toISOString() },
      { id: "2", name: "zhao", password: "correct horse battery", role: "operator" },
      { id: "3", name: "helpdesk", password: "correct horse battery", role: "helpdesk", domains: ["mine.example"] },
      { id: "4", name: "guest", password: "correct horse battery", role: "viewer" },
    ],
    sessions: new Map(), runs: [], monitors: data.monitors(), proposals: data.proposals(), channels: data.channels(), plans: data.plans(), tokens: [], blocks: data.blocks(), inbox: new Map(), shared: new Map(), seen: [],
  };
  if (!setup) {
    const ago = (m) => new Date(Date.now() - m * 60e3).toISOString();
    s.runs.push({ id: "r0", kind: "check", args: { domain: "broken.example" }, target: "broken.example", state: "done", by: "zhao", started: ago(1500), ended: ago(1500) });
    s.runs.push({ id: "r1", kind: "check", args: { domain: "broken.example" }, target: "broken.example", state: "done", by: "li", started: ago(60), ended: ago(60) });
    s.runs.push({ id: "r2", kind: "deliver", args: { to: "wang@strict.example" }, target: "wang@strict.example", state: "done", by: "helpdesk", started: ago(20), ended: ago(20) });
  }
  const server = createServer((req, res) => {
    answer(s, prefix, serveUI, req, res).catch((e) => problem(res, 500, "Internal Server Error", String(e?.stack ?? e)));
  });
  await new Promise((ok) => server.listen(port, "127.0.0.1", ok));
  const url = `http://127.0.0.1:${server.address().port}${prefix}/`;
  return { url, state: s, close: () => (server.closeAllConnections(), new Promise((ok) => server.close(ok))) };
}

const json = (res, v, status = 200, headers = {}) => {
  res.writeHead(status, { "Content-Type": "application/json", ...headers });
  res.end(JSON.stringify(v));
};
const problem = (res, status, title, detail = "", more = {}) => {
  if (res.headersSent) return res.end();
  res.writeHead(status, { "Content-Type": "application/problem+json" });
  res.end(JSON.stringify({ type: "about:blank", title, status, detail, ...more }));
};

async function file(req, res, name) {
  const path = normalize(join(dist, name || "index.html"));
  if (!path.startsWith(dist)) return problem(res, 404, "Not Found");
  try {
    const b = await readFile(path);
    res.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": policy, "Content-Encoding": "gzip" });
    res.end(gzipSync(b));
  } catch {
    problem(res, 404, "Not Found");
  }
}

async function body(req) {
  const parts = [];
  for await (const p of req) parts.push(p);
  const text = Buffer.concat(parts).toString();
  return text ? JSON.parse(text) : {};
}

const ranks = ["viewer", "helpdesk", "operator", "approver", "admin"];

async function answer(s, prefix, serveUI, req, res) {
  const u = new URL(req.url, "http://localhost");
  if (!u.pathname.startsWith(prefix + "/")) return problem(res, 404, "Not Found");
  const path = decodeURIComponent(u.pathname.slice(prefix.length + 1));
  if (!path.startsWith("api/v1/")) return serveUI ? file(req, res, path) : problem(res, 404, "Not Found");
  const call = `${req.method} ${path.slice(7)}`;
  s.seen.push(call);
  const q = u.searchParams;
  const session = /(?:^|; )session=(\w+)/.exec(req.headers.cookie ?? "")?.[1];
  const me = s.sessions.get(session);
  const lang = q.get("lang") === "zh" ? "zh" : "en";
  const say = (v, status) => json(res, data.inLang(v, lang), status);
  const may = (role) => ranks.indexOf(me?.role) >= ranks.indexOf(role) || (problem(res, 403, "Forbidden", "") && false);
  const open = await door({ s, req, res, call, me, session, say, q, lang });
  if (open) return;
  if (!me) return problem(res, 401, "Unauthorized", "log in first");
  const routes = [...people, ...things];
  for (const [method, pattern, role, f] of routes) {
    const m = req.method === method && new RegExp(`^${pattern}$`).exec(path.slice(7));
    if (!m) continue;
    if (role && !may(role)) return;
    return f({ s, req, res, me, q, lang, say, part: m.slice(1) });
  }
  problem(res, 404, "Not Found");
}

// door answers what needs no login.
async function door({ s, req, res, call, me, session, say, lang }) {
  const enter = (user, v, status = 200) => {
    const id = Math.random().toString(36).slice(2);
    s.sessions.set(id, user);
    json(res, v, status, { "Set-Cookie": `session=${id}; HttpOnly; SameSite=Lax; Path=/` });
    return true;
  };
  if (call === "GET session") {
    const pages = ["overview", "trace", "check", "bounces", "reports", "monitors", "queue", "blocks", "inbox", "rules", "settings"].filter((p) => p !== "reports" || me?.role !== "helpdesk");
    say({ user: me && { name: me.name, role: me.role, domains: me.domains, lang: me.lang || undefined }, setup_needed: s.users.length === 0, oidc: [], version: "dev", languages: ["en", "zh"], base_path: "/", ...(me ? { pages } : {}) });
    return true;
  }
  if (call === "POST setup") {
    const b = await body(req);
    if (s.users.length > 0 || b.token !== "one-time") return problem(res, 403, "Forbidden", "the set-up token is wrong or was used"), true;
    const user = { id: "1", name: b.name, password: b.password, role: "admin" };
    s.users.push(user);
    return enter(user, {}, 201);
  }
  if (call === "POST login") {
    const b = await body(req);
    const user = s.users.find((u) => u.name === b.name && u.password === b.password);
    if (!user) return problem(res, 401, "Unauthorized", "name or password is wrong"), true;
    return enter(user, { user: { name: user.name, role: user.role } });
  }
  if (call === "POST logout") {
    s.sessions.delete(session);
    return json(res, {}), true;
  }
  const shared = /^GET shared\/(.+)$/.exec(call);
  if (shared) {
    const run = s.runs.find((r) => r.id === s.shared.get(shared[1]));
    if (!run) return problem(res, 404, "Not Found"), true;
    json(res, { ...run, report: await demo(demoOf[run.kind] ?? "fine", lang) });
    return true;
  }
  return false;
}

const sse = (res) => {
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  return (event, v) => res.write(`event: ${event}\ndata: ${JSON.stringify(v)}\n\n`);
};
const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));

const found = (q, me) => {
  const text = (q.get("q") ?? "").toLowerCase();
  return data.journeys.filter((j) => JSON.stringify(data.inLang(j.summary, "en")).toLowerCase().includes(text)).filter((j) => !q.get("status") || j.summary.state === q.get("status").replace("sent", "delivered")).filter((j) => !q.get("direction") || j.journey.direction === q.get("direction")).filter((j) => !me.domains || JSON.stringify(j.summary).includes(me.domains[0]));
};

const people = [
  ["GET", "users", "admin", ({ s, say }) => say({ items: s.users.map(({ password, ...u }) => u) })],
  ["POST", "users", "admin", async ({ s, req, res, say }) => {
    const b = await body(req);
    if (s.users.some((u) => u.name === b.name)) return problem(res, 422, "Unprocessable Entity", `there is a user ${b.name} already`, { field: "name" });
    s.users.push({ id: String(s.users.length + 1), ...b });
    say({ id: String(s.users.length) }, 201);
  }],
  ["DELETE", "users/(.+)", "admin", ({ s, res, part }) => ((s.users = s.users.filter((u) => u.id !== part[0])), res.writeHead(204).end())],
  ["GET", "tokens", "", ({ s, say }) => say({ items: s.tokens })],
  ["POST", "tokens", "", async ({ s, req, me, say }) => {
    const b = await body(req);
    s.tokens.push({ id: String(s.tokens.length + 1), name: b.name, user: me.name, role: me.role, created: new Date().toISOString() });
    say({ id: "1", token: "mw_4f1c9a77d0b24e2f" }, 201);
  }],
  ["DELETE", "tokens/(.+)", "", ({ s, res, part }) => ((s.tokens = s.tokens.filter((t) => t.id !== part[0])), res.writeHead(204).end())],
  ["GET", "audit", "admin", ({ say }) => say({ items: data.audit(), head: "4:9b1f0c7d2e6a4411" })],
  ["GET", "settings", "", ({ me, say }) => say({ user: { name: me.name, role: me.role }, server: me.role === "admin" ? { store: "/var/lib/mailwhy", retention: "90 days" } : undefined })],
  ["PUT", "settings", "", async ({ req, me, say }) => {
    const b = await body(req);
    if (b.user?.lang !== undefined) me.lang = b.user.lang;
    say({ user: { name: me.name } });
  }],
];

const things = [
  ["GET", "catalogue", "", ({ say }) => say({ ...data.catalogue, channels: data.channelKinds() })],
  ["GET", "overview", "", ({ q, say }) => say(data.overview(q.get("since")))],
  ["GET", "trace", "", ({ q, me, say }) => say({ items: found(q, me).map((j) => j.summary), searched: 184231 })],
  ["GET", "trace/stream", "", async ({ q, me, res, lang }) => {
    const send = sse(res);
    for (const j of found(q, me)) {
      send("journey", data.inLang(j.summary, lang));
      await pause(20);
    }
    send("done", { searched: 184231 });
    res.end();
  }],
  ["GET", "journeys/(.+)", "", async ({ res, q, me, lang, part, say }) => {
    const j = data.journeys.find((x) => x.id === part[0]);
    if (!j) return problem(res, 404, "Not Found");
    const raw = q.get("raw") === "1";
    if (raw && me.role === "viewer") return problem(res, 403, "Forbidden");
    const shown = { ...j.journey, steps: j.journey.steps.map((s) => (raw ? s : { ...s, line: undefined })) };
    say({ journey: shown, report: { version: 1, lang, command: "trace", target: { kind: "message", name: j.id }, headline: j.headline, counts: {}, findings: j.findings, took_ms: 3 } });
  }],
  ["GET", "runs", "", async ({ s, q, lang, say }) => {
    const list = s.runs.filter((r) => (!q.get("kind") || r.kind === q.get("kind")) && (!q.get("target") || r.target === q.get("target")));
    say({ items: await Promise.all([...list].sort((a, b) => b.started.localeCompare(a.started)).map(async (r) => ({ ...r, ...(r.state === "done" ? { headline: (await demo(demoOf[r.kind] ?? "fine", lang)).headline } : {}) }))) });
  }],
  ["POST", "runs", "helpdesk", async ({ s, req, res, me, say }) => {
    const b = await body(req);
    const k = data.catalogue.runs.find((r) => r.kind === b.kind);
    const missing = k?.fields.find((f) => f.required && !b.args?.[f.name]);
    if (!k || missing) return problem(res, 422, "Unprocessable Entity", missing ? `${missing.name} is needed` : "no such kind", { field: missing?.name });
    if (/(^|@)(localhost|127\.|10\.)/.test(Object.values(b.args)[0])) return problem(res, 403, "Forbidden", "private and loopback addresses are not probed from here", { field: k.fields[0].name });
    const id = `r${s.runs.length}`;
    s.runs.push({ id, kind: b.kind, args: b.args, target: String(Object.values(b.args)[0]).slice(0, 60), state: "running", by: me.name, started: new Date().toISOString() });
    say({ id }, 201);
  }],
  ["GET", "runs/([^/]+)", "", async ({ s, res, lang, part, say }) => {
    const r = s.runs.find((x) => x.id === part[0]);
    if (!r) return problem(res, 404, "Not Found");
    say(r.state === "done" ? { ...r, report: await demo(demoOf[r.kind] ?? "fine", lang) } : r);
  }],
  ["GET", "runs/([^/]+)/events", "", async ({ s, res, part }) => {
    const r = s.runs.find((x) => x.id === part[0]);
    const send = sse(res);
    for (const name of ["address", "DNS", "connect", "greeting", "EHLO", "TLS", "MAIL FROM", "RCPT TO"]) {
      send("step", { name, text: name === "DNS" ? "2 MX, 3 addresses" : "" });
      await pause(30);
    }
    r.state = "done";
    r.ended = new Date().toISOString();
    send("done", { id: r.id });
    res.end();
  }],
  ["GET", "runs/([^/]+)/diff", "", async ({ lang, say }) => {
    const r = await demo("broken", lang);
    say({ appeared: r.findings.slice(0, 1), gone: r.findings.slice(2, 3), changed: [] });
  }],
  ["POST", "runs/([^/]+)/share", "helpdesk", async ({ s, req, me, part, say }) => {
    const days = (await body(req)).days || 7;
    const r = s.runs.find((x) => x.id === part[0]);
    s.shared.set("tok" + part[0], part[0]);
    r.share = { run: r.id, kind: r.kind, target: r.target, started: r.started, by: me.name, until: new Date(Date.now() + days * 86400e3).toISOString() };
    say({ url: `#/shared/tok${part[0]}`, until: r.share.until });
  }],
  ["DELETE", "runs/([^/]+)/share", "helpdesk", ({ s, res, part }) => {
    s.shared.delete("tok" + part[0]);
    delete s.runs.find((x) => x.id === part[0]).share;
    res.writeHead(204).end();
  }],
  ["GET", "shares", "helpdesk", ({ s, say }) => say({ items: s.runs.map((r) => r.share).filter(Boolean) })],
  ["GET", "channels", "operator", ({ s, say }) => say({ items: s.channels })],
  ["POST", "channels", "admin", async ({ s, req, say }) => {
    const { secrets, ...c } = await body(req);
    s.channels.push({ title: c.kind, ...c, secrets: Object.keys(secrets ?? {}), editable: true });
    say(s.channels.at(-1), 201);
  }],
  ["PUT", "channels/([^/]+)", "admin", async ({ s, req, part, say }) => {
    const { secrets, ...c } = await body(req);
    const old = s.channels.find((x) => x.id === part[0]);
    say(Object.assign(old, c, { secrets: [...new Set([...old.secrets, ...Object.keys(secrets ?? {})])] }));
  }],
  ["DELETE", "channels/([^/]+)", "admin", ({ s, res, part }) => ((s.channels = s.channels.filter((c) => c.id !== part[0])), res.writeHead(204).end())],
  ["POST", "channels/([^/]+)/test", "admin", ({ part, say }) => say(part[0] === "night" ? { sent: false, text: "404 no_service" } : { sent: true })],
  ["GET", "maintenance", "", ({ s, say }) => say({ items: s.plans })],
  ["POST", "maintenance", "operator", async ({ s, req, me, say }) => {
    s.plans.push({ id: `p${s.plans.length}`, by: me.name, open: true, over: false, file: false, ...(await body(req)) });
    say(s.plans.at(-1), 201);
  }],
  ["DELETE", "maintenance/([^/]+)", "operator", ({ s, res, part }) => ((s.plans = s.plans.filter((p) => p.id !== part[0])), res.writeHead(204).end())],
  ["GET", "bounces", "", ({ say }) => say({ causes: data.causes.slice(2), providers: [{ name: "bigmail.example", bounced: 12, deferred: 148 }, { name: "old.example", bounced: 9, deferred: 0 }], recent: data.journeys.filter((j) => j.summary.state === "bounced").map((j) => j.summary) })],
  ["GET", "reports/dmarc", "viewer", ({ say, q }) => say({ ...data.dmarc(), ...(q.get("domain") ? { domains: data.dmarc().domains.filter((d) => d.domain === q.get("domain")) } : {}) })],
  ["GET", "reports/tls", "viewer", ({ say }) => say(data.tlsReports())],
  ["GET", "queue", "", async ({ lang, say }) => {
    const r = structuredClone(await demo("strict", lang));
    r.command = "queue";
    r.findings = [];
    r.headline = data.inLang({ state: "warning", owner: "self", text: data.two("164 messages wait, the oldest since 12 hours: bigmail.example limits our rate.", "164 封邮件等待中，最久的已 12 小时：bigmail.example 对我方限速。") }, lang);
    r.sections = data.inLang([{ title: data.two("Waiting by age", "按等待时间"), columns: [data.two("domain", "域名"), "5m", "1h", "12h", "5d"], rows: [{ cells: ["bigmail.example", "12", "81", "40", "0"] }, { cells: ["slow.example", "0", "3", "20", "8"] }] }, { title: data.two("Messages", "邮件数"), chart: { kind: "bars", labels: ["5m", "1h", "12h", "5d"], series: [{ name: data.two("messages", "邮件"), values: [12, 84, 60, 8] }], unit: data.two("messages", "封") } }, { title: data.two("The way to bigmail.example", "到 bigmail.example 的路径"), chart: data.way() }], lang);
    say({ snapshots: [{ host: "mx1.mine.example", at: new Date(Date.now() - 40e3).toISOString(), report: r }] });
  }],
  ["GET", "monitors", "", ({ s, say }) => say({ items: s.monitors })],
  ["POST", "monitors", "operator", async ({ s, req, say }) => {
    const b = await body(req);
    const m = { id: `m${s.monitors.length}`, state: "pending", target: String(Object.values(b.args ?? {})[0] ?? ""), ...b };
    s.monitors.push(m);
    say(m, 201);
  }],
  ["GET", "monitors/([^/]+)", "", ({ s, res, part, say }) => (s.monitors.some((m) => m.id === part[0]) ? say(s.monitors.find((m) => m.id === part[0])) : problem(res, 404, "Not Found"))],
  ["PUT", "monitors/([^/]+)", "operator", async ({ s, req, part, say }) => say(Object.assign(s.monitors.find((m) => m.id === part[0]), await body(req)))],
  ["DELETE", "monitors/([^/]+)", "operator", ({ s, res, part }) => ((s.monitors = s.monitors.filter((m) => m.id !== part[0])), res.writeHead(204).end())],
  ["GET", "monitors/([^/]+)/samples", "", ({ s, part, q, say }) => say({ items: data.samples(s.monitors.find((m) => m.id === part[0]) ?? { id: "", state: "ok" }, q.get("since")) })],
  ["POST", "monitors/([^/]+)/(run|ack|mute|unmute|replay)", "operator", async ({ s, req, me, part, say }) => {
    const m = s.monitors.find((x) => x.id === part[0]);
    const b = await body(req);
    if (part[1] === "mute") m.muted = { ...b, by: me.name };
    if (part[1] === "unmute") delete m.muted;
    if (part[1] === "ack") m.acked = { by: me.name, at: new Date().toISOString() };
    if (part[1] === "replay") return say({ fired: 3, flaps: 1, incidents: [{ from: new Date(Date.now() - 9e8).toISOString(), until: new Date(Date.now() - 8.9e8).toISOString(), text: data.two("no answer on port 25", "25 端口无应答") }] });
    say({});
  }],
  ["GET", "incidents", "", ({ say }) => say({ items: data.incidents() })],
  ["GET", "proposals", "", ({ s, say }) => say({ items: s.proposals })],
  ["POST", "proposals/([^/]+)/(approve|refuse)", "approver", ({ s, part, say }) => (Object.assign(s.proposals.find((p) => p.id === part[0]), { state: part[1] === "approve" ? "approved" : "refused", by: "li" }), say({}))],
  ["GET", "blocks", "", ({ s, say }) => say({ items: s.blocks })],
  ["POST", "blocks", "operator", async ({ s, req, me, say }) => {
    s.blocks.push({ id: `b${s.blocks.length + 1}`, state: "proposed", by: me.name, at: new Date().toISOString(), ...(await body(req)) });
    say(s.blocks.at(-1), 201);
  }],
  ["POST", "blocks/([^/]+)/(approve|refuse)", "approver", ({ s, me, part, say }) => say(Object.assign(s.blocks.find((b) => b.id === part[0]), { state: part[1] === "approve" ? "active" : "refused", decided_by: me.name }))],
  ["DELETE", "blocks/(.+)", "operator", ({ s, res, part }) => ((s.blocks.find((b) => b.id === part[0]).state = "removed"), res.writeHead(204).end())],
  ["GET", "inbox", "", ({ s, say }) => say({ items: [...s.inbox.values()].map((b) => ({ ...b, messages: b.messages.length })) })],
  ["POST", "inbox", "helpdesk", ({ s, say }) => {
    const b = { address: `test-${s.inbox.size + 1}7f3a@inbox.mine.example`, created: new Date().toISOString(), expires: new Date(Date.now() + 3600e3).toISOString(), messages: [] };
    s.inbox.set(b.address, b);
    say(b, 201);
  }],
  ["GET", "inbox/(.+)", "", async ({ s, res, lang, part, say }) => {
    const b = s.inbox.get(part[0]);
    if (!b) return problem(res, 404, "Not Found");
    if (b.messages.length === 0) b.messages.push({ at: new Date().toISOString(), from: "li@mine.example", subject: "Test" });
    else b.messages[0].report = await demo("masked", lang);
    say(b);
  }],
  ["GET", "rules", "", async ({ lang, say }) => say({ items: await allRules(lang) })],
];
