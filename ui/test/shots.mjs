// Takes a picture of every page into the folder named as argument: wide and narrow, light and dark, both languages.
//   node test/shots.mjs /tmp/shots [page…]
import { mkdir } from "node:fs/promises";
import { start } from "../mock/server.mjs";
import { launch, login, open, settle, visit } from "./browser.mjs";

const [dir = "test/shots", ...only] = process.argv.slice(2);
const pages = {
  overview: "#/", trace: "#/trace?q=example&since=7d", journey: "#/trace/j-strict", check: "#/check/deliver", result: "#/runs/r1", bounces: "#/bounces", reports: "#/reports", tls: "#/reports/tls",
  monitors: "#/monitors", monitor: "#/monitors/ptr", edit: "#/monitors/new", queue: "#/queue", blocks: "#/blocks", inbox: "#/inbox", rules: "#/rules", settings: "#/settings", shares: "#/settings/shares", channels: "#/settings/channels", users: "#/settings/users", audit: "#/settings/audit",
};
await mkdir(dir, { recursive: true });
const server = await start();
const browser = await launch();
for (const [tag, o] of Object.entries({ wide: {}, dark: { dark: true }, zh: { lang: "zh-CN" }, phone: { width: 390, height: 844 }, "phone-dark": { width: 390, height: 844, dark: true } })) {
  const page = await open(browser, server.url, o);
  await page.waitForSelector("form");
  if (only.length === 0 || only.includes("login")) await page.screenshot({ path: `${dir}/login-${tag}.png` });
  await login(page, "li");
  for (const [name, hash] of Object.entries(pages)) {
    if (only.length > 0 && !only.includes(name)) continue;
    await visit(page, hash);
    await settle(page);
    await page.screenshot({ path: `${dir}/${name}-${tag}.png`, fullPage: true });
  }
  if (page.faults.length > 0) console.log(tag, page.faults);
  await page.context().close();
}
await browser.close();
await server.close();
