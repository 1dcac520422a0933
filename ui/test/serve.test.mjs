// The pages before the real server, from its first start on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, fits, launch, login, open, patience, settle, visit } from "./browser.mjs";
import { serve } from "./serve.mjs";

let browser, server;
const says = (page, words, selector = "main") => page.waitForFunction(([s, w]) => document.querySelector(s)?.innerText.includes(w), [selector, words]);
const password = "correct horse battery";

before(async () => {
  browser = await launch();
  server = await serve(`[serve]\nbase_path = "/mail/why"\n`);
  const page = await open(browser, `${server.url}#/setup?token=${server.token}`);
  await page.waitForSelector('input[name="token"]');
  await accessible(page, "set-up");
  await page.fill('input[name="name"]', "li");
  await page.fill('input[name="password"]', password);
  await page.fill('input[name="again"]', password);
  await page.click("form button.main");
  await page.waitForSelector("nav .brand");
  assert.deepEqual(page.faults, []);
  await page.context().close();
}, { timeout: 3 * patience });
after(async () => {
  await browser?.close();
  await server?.close();
});

const on = (name, options, f) =>
  test(name, { timeout: 4 * patience }, async () => {
    const page = await open(browser, server.url, options);
    try {
      if (options.as) await login(page, options.as, options.password ?? password);
      await f(page);
      assert.deepEqual(page.faults, []);
    } finally {
      await page.context().close();
    }
  });

for (const [look, options] of Object.entries({ "wide and light": {}, "narrow, dark and Chinese": { width: 390, height: 844, dark: true, lang: "zh-CN" } })) {
  on(`every page of the menu opens: ${look}`, { ...options, as: "li" }, async (page) => {
    const pages = await page.evaluate(() => [...document.querySelectorAll("nav ul a")].map((a) => a.getAttribute("href")));
    assert.ok(pages.includes("#/rules") && pages.includes("#/settings"), pages.join(" "));
    for (const hash of [...pages, "#/settings/users", "#/settings/audit", "#/settings/tokens"]) {
      await visit(page, hash);
      await settle(page);
      assert.equal(await page.locator("[role=alert]").count(), 0, `${hash}: ${await page.locator("main").innerText()}`);
      await accessible(page, hash);
      await fits(page, hash);
    }
  });
}

on("a helpdesk user is made, logs in, and sees no settings of others", { as: "li" }, async (page) => {
  await visit(page, "#/settings/users", "main table");
  const form = page.locator("form");
  await form.getByLabel("Name").fill("zhao");
  await form.getByLabel("Password").fill(password);
  await form.getByLabel("Role").selectOption("helpdesk");
  await form.getByLabel("Domains").fill("mine.example");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.waitForFunction(() => [...document.querySelectorAll("main td")].some((d) => d.innerText === "zhao"));
  const other = await open(browser, server.url);
  await login(other, "zhao");
  await visit(other, "#/settings");
  assert.doesNotMatch(await other.locator("main").innerText(), /Users|Audit log/);
  assert.match(await other.locator("main").innerText(), /helpdesk: mine\.example/);
  await visit(other, "#/settings/users"); // by hand: not theirs
  assert.equal(await other.locator("main table").count(), 0);
  assert.deepEqual(other.faults, []);
  await other.context().close();
  await visit(page, "#/settings/audit", "main table");
  await says(page, "added a user");
});

on("a wrong password is told", {}, async (page) => {
  await page.fill('input[name="name"]', "li");
  await page.fill('input[name="password"]', "wrong");
  await page.click("form button.main");
  await says(page, "Name or password is wrong.");
});

on("the language is kept with the user", { as: "li" }, async (page) => {
  await visit(page, "#/settings");
  const kept = () => page.waitForResponse((r) => r.url().includes("/settings") && r.request().method() === "PUT" && r.ok());
  let put = kept();
  await page.getByLabel("中文").check();
  await put;
  await says(page, "语言");
  const again = await open(browser, server.url); // a browser that never heard of Chinese
  await login(again, "li");
  await says(again, "规则", "nav");
  await again.context().close();
  put = kept();
  await page.getByLabel("English").check();
  await put;
  await says(page, "Language");
});

on("a token is told once", { as: "li" }, async (page) => {
  await visit(page, "#/settings/tokens", "main form");
  await page.getByLabel("For what").fill("dashboard");
  await page.getByRole("button", { name: "Make a token" }).click();
  await says(page, "Keep it now");
  const token = await page.locator(".once code").innerText();
  const answer = await page.evaluate(async (t) => (await fetch("api/v1/rules?limit=1", { headers: { Authorization: `Bearer ${t}` }, credentials: "omit" })).status, token);
  assert.equal(answer, 200);
});

on("rules are found by their words", { as: "li" }, async (page) => {
  await visit(page, "#/rules/ptr.missing", "main details[open]");
  await page.fill("[data-search]", "reverse");
  await page.waitForFunction(() => document.querySelectorAll("main details").length > 1);
});

on("a reply is explained live; the result has an address, a share link and a comparison", { as: "li" }, async (page) => {
  const explain = async (text) => {
    await visit(page, "#/check/explain", "form textarea");
    await page.locator("form textarea").first().fill(text);
    await page.locator("form button.main").click();
    await page.waitForSelector("main article");
  };
  await explain("550 5.1.1 <wang@partner.example>: Recipient address rejected: User unknown");
  await says(page, "recipient does not exist");
  await page.getByRole("link", { name: "Open the result by itself" }).click();
  await page.waitForSelector("main article h1");
  await accessible(page, "result");
  await page.getByRole("button", { name: "Share" }).click();
  const link = await page.locator(".shared input").inputValue();
  assert.ok(link.startsWith(server.url + "#/shared/"), link);
  const guest = await open(browser, link, { lang: "zh-CN" });
  await says(guest, "收件人不存在");
  assert.equal(await guest.locator("nav").count(), 0);
  assert.deepEqual(guest.faults, []);
  await guest.context().close();
  await visit(page, "#/check");
  await page.waitForSelector(".history a");
  await says(page, "550 5.1.1");
});

on("a private address is not probed from the page", { as: "li" }, async (page) => {
  await visit(page, "#/check/server", "form input");
  await page.locator("form input").first().fill("127.0.0.1");
  await page.locator("form button.main").click();
  await says(page, "127.0.0.1 is no public address");
});
