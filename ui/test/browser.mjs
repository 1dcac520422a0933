// A browser for the tests: Debian's Chromium, one per test file; every page watches itself.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const patience = 60_000; // for anything that is waited for; a busy machine is no fault

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"], timeout: patience });

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// open gives a page that keeps what must not happen: errors in scripts, breaches of the policy, requests elsewhere.
export async function open(browser, url, { width = 1280, height = 900, dark = false, lang = "en-GB" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? "dark" : "light", locale: lang, timezoneId: "Europe/Berlin", reducedMotion: "reduce", bypassCSP: false });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.faults = [];
  page.on("pageerror", (e) => page.faults.push(`script: ${e.message}`));
  page.on("console", (m) => {
    // A refused request is an answer the page shows; what else the browser complains of is a fault of ours.
    if (m.type() === "error" && !/Failed to load resource/.test(m.text())) page.faults.push(`console: ${m.text()}`);
  });
  page.on("request", (r) => {
    if (!r.url().startsWith(new URL(url).origin)) page.faults.push(`request elsewhere: ${r.url()}`);
  });
  await page.goto(url);
  return page;
}

export async function login(page, name, password = "correct horse battery") {
  await page.fill('input[name="name"]', name);
  await page.fill('input[name="password"]', password);
  await page.click("form button.main");
  await page.waitForSelector("nav .brand");
}

// visit goes to a page within the page and waits until it is drawn.
export async function visit(page, hash, selector = "main h1, main h2, main .answer") {
  await page.evaluate((h) => (location.hash = h), hash);
  await page.waitForFunction((h) => document.querySelector("main")?.dataset.at === h, hash);
  await page.waitForSelector(selector);
  await settle(page);
}

// settle waits until nothing is being loaded and the charts are drawn.
export async function settle(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true], .late") && [...document.querySelectorAll(".plot")].every((p) => p.querySelector("canvas")));
}

// accessible runs axe over the page as it stands: WCAG A and AA.
export async function accessible(page, what) {
  await page.evaluate(axe); // by the debugger's door, which the policy of the page does not bind
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  const bad = found.violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 4).map((n) => n.html.slice(0, 160) + "  " + (n.any[0]?.message ?? n.all[0]?.message ?? "")).join("\n    ")}`);
  assert.deepEqual(bad, [], `${what}: ${bad.join("\n")}`);
}

// narrow tells what sticks out sideways; a page must not scroll sideways.
export async function fits(page, what) {
  const out = await page.evaluate(() => {
    const w = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= w) return [];
    return [...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll, pre")).slice(0, 5).map((e) => e.outerHTML.slice(0, 120));
  });
  assert.deepEqual(out, [], `${what} is wider than the window: ${out.join("\n")}`);
}
