// Measures how long each page takes to be drawn, over a store that is there: the data folder of `mailwhy serve`, in which
// the users are made anew. Once from the menu, and once opened by its address (with everything loaded again).
//   node test/speed.mjs /path/of/data [times]
import { spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, open, patience, settle } from "./browser.mjs";

const [data, times = "5"] = process.argv.slice(2);
if (!data) throw new Error("the data folder is missing");
for (const f of ["state.db", "state.db-wal", "state.db-shm"]) await rm(join(data, f), { force: true });
const tool = process.env.MAILWHY ?? fileURLToPath(new URL("../../mailwhy", import.meta.url));
const child = spawn(tool, ["serve", "--data", data, "--listen", "127.0.0.1:0", "--lang", "en"], { stdio: ["ignore", "ignore", "pipe"] });
let said = "";
const m = await new Promise((ok, no) => {
  child.stderr.on("data", (b) => {
    said += b;
    const found = /(http:\S+?\/)#\/setup\?token=(\w+)/.exec(said);
    if (found) ok(found);
  });
  child.on("exit", () => no(new Error(said)));
});
const browser = await launch();
const page = await open(browser, m[0]);
await page.waitForSelector('input[name="token"]');
for (const [name, v] of [["name", "li"], ["password", "correct horse battery"], ["again", "correct horse battery"]]) await page.fill(`input[name="${name}"]`, v);
await page.click("form button.main");
await page.waitForSelector("nav .brand");

const first = await page.evaluate(async () => (await (await fetch("api/v1/trace?limit=1&status=bounced")).json()).items[0]);
const to = first?.recipients?.[0]?.to ?? "contact1@partner1.example";
const pages = {
  overview: "#/", "overview, 30 days": "#/?since=30d", trace: "#/trace", "trace of a recipient": `#/trace?q=${encodeURIComponent(to)}&since=365d`, "one message": `#/trace/${first?.id ?? ""}`,
  bounces: "#/bounces?since=30d", check: "#/check", reports: "#/reports", monitors: "#/monitors", queue: "#/queue", rules: "#/rules", settings: "#/settings", audit: "#/settings/audit",
};
const median = (l) => l.sort((a, b) => a - b)[Math.floor(l.length / 2)];
// drawn waits within the page, so that the way between here and the browser is not measured.
const drawn = (hash) =>
  page.evaluate(async (h) => {
    const began = performance.now();
    location.hash = h;
    const there = () => document.querySelector("main")?.dataset.at === (h === "#/" ? location.hash : h) && document.querySelector("main h1, main h2, main .answer") && !document.querySelector("[aria-busy=true], .late");
    while (!there()) await new Promise((ok) => requestAnimationFrame(ok));
    await new Promise((ok) => requestAnimationFrame(() => setTimeout(ok)));
    return performance.now() - began;
  }, hash);
console.log("| page | from the menu, median | worst | opened by its address, median |\n|---|---|---|---|");
for (const [name, hash] of Object.entries(pages)) {
  const menu = [], whole = [];
  for (let i = 0; i < Number(times); i++) {
    await drawn("#/rules/ptr.missing");
    menu.push(await drawn(hash));
  }
  for (let i = 0; i < Number(times); i++) {
    await page.goto("about:blank");
    const start = performance.now();
    await page.goto(m[1] + hash);
    await page.waitForSelector("main h1, main h2, main .answer", { timeout: patience });
    await settle(page);
    whole.push(performance.now() - start);
  }
  console.log(`| ${name} | ${median(menu).toFixed(0)} ms | ${Math.max(...menu).toFixed(0)} ms | ${median(whole).toFixed(0)} ms |`);
}
if (page.faults.length) console.log(page.faults);
await browser.close();
child.kill("SIGTERM");
