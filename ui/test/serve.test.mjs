// The pages before the real server, from its first start on.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, fits, launch, login, open, patience, settle, visit } from "./browser.mjs";
import { issuer } from "./issuer.mjs";
import { mailLog, scripts } from "./mail.mjs";
import { serve } from "./serve.mjs";

let browser, server, corp;
// reads waits until the page says what the expression wants: what a page shows may come a frame later.
const reads = (page, re) => page.waitForFunction((r) => new RegExp(r).test(document.querySelector("main")?.innerText ?? ""), re.source);
const says = (page, words, selector = "main") => page.waitForFunction(([s, w]) => document.querySelector(s)?.innerText.includes(w), [selector, words]);
const password = "correct horse battery";

// stored waits until the log is in the store: until a message is found.
const stored = (page) =>
  page.waitForFunction(async (q) => {
    const answer = await fetch(`api/v1/trace?limit=1&q=${encodeURIComponent(q)}`);
    return answer.ok && (await answer.json()).items.length > 0;
  }, "wang@partner.example", { polling: 250 });

before(async () => {
  browser = await launch();
  corp = await issuer();
  server = await serve(`[serve]\nbase_path = "/mail/why"\nresolvers = ["127.0.0.1:1"]\n[[intake]]\nkind = "files"\npaths = ["DIR/mail.log"]\n[[monitor]]\nid = "mine"\nkind = "domain"\ntitle = "Our domain"\nevery = "1h"\nfail_after = 1\n[monitor.args]\ndomain = "mine.invalid"\n[[oidc]]\nid = "corp"\nname = "Corporate login"\nissuer = "${corp.url}"\nclient_id = "mailwhy"\nclient_secret = "secret"\n[oidc.roles]\nviewer = ["staff"]\noperator = ["mail"]\n`, { "mail.log": mailLog() });
  const page = await open(browser, `${server.url}#/setup?token=${server.token}`);
  await page.waitForSelector('input[name="token"]');
  await accessible(page, "set-up");
  await page.fill('input[name="name"]', "li");
  await page.fill('input[name="password"]', password);
  await page.fill('input[name="again"]', password);
  await page.click("form button.main");
  await page.waitForSelector("nav .brand");
  await stored(page);
  assert.deepEqual(page.faults, []);
  await page.context().close();
}, { timeout: 3 * patience });
after(async () => {
  await browser?.close();
  await server?.close();
  await corp?.close();
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
    for (const hash of [...pages, "#/settings/users", "#/settings/audit", "#/settings/tokens", "#/settings/shares", "#/settings/channels"]) {
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
  await reads(other, /helpdesk: mine\.example/);
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

on("who signs on with the company's service comes in with the role of the group", {}, async (page) => {
  const elsewhere = () => page.faults.filter((f) => !f.includes(corp.url)); // the way over the service is what is tested
  const signOn = async () => {
    await page.getByRole("link", { name: "Log in with Corporate login" }).click();
    await page.waitForURL((u) => u.href.startsWith(server.url));
  };
  await signOn();
  await page.waitForSelector("nav .brand");
  await visit(page, "#/settings");
  await reads(page, /wang[\s\S]*viewer/);
  assert.doesNotMatch(await page.locator("main").innerText(), /Users|Audit log|Change the password/);
  await says(page, "Your password is kept by the sign-on service");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForSelector('input[name="password"]');
  corp.who = { ...corp.who, groups: ["mail"] };
  await signOn();
  await page.waitForSelector("nav .brand");
  await visit(page, "#/monitors", "main table");
  await page.getByRole("link", { name: "Add a monitor" }).waitFor(); // an operator's
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForSelector('input[name="password"]');
  corp.who = { sub: "43", preferred_username: "nobody", groups: [] };
  await signOn();
  await page.waitForSelector('input[name="password"]'); // not let in, and told why
  await says(page, "in none of the groups");
  assert.deepEqual(elsewhere(), []);
  page.faults.length = 0;
});

on("a channel is made, and a maintenance window is planned", { as: "li" }, async (page) => {
  await visit(page, "#/settings/channels", "main");
  await page.getByRole("button", { name: "Add a channel" }).click();
  await page.locator("dialog select").first().selectOption("webhook");
  await page.getByLabel("Name *").fill("day");
  await page.getByLabel("Address of the service").fill("http://127.0.0.1:1/hook");
  await page.getByRole("button", { name: "Save" }).click();
  const row = page.getByRole("row", { name: /^day/ });
  await row.getByRole("button", { name: "Send a test" }).click();
  await says(page, "could not be sent to day");
  await row.getByRole("button", { name: "Remove" }).click();
  await page.locator("dialog button.danger").click();
  await row.waitFor({ state: "detached" });
  await visit(page, "#/monitors", "main table");
  await page.getByRole("button", { name: "Plan maintenance" }).click();
  await page.getByLabel("Reason").fill("new kernel");
  await page.getByRole("button", { name: "Plan it" }).click();
  const plan = page.locator("li", { hasText: "new kernel" });
  await plan.waitFor();
  await page.getByRole("link", { name: "Our domain" }).first().click();
  await reads(page, /in maintenance until/);
  await visit(page, "#/monitors", "main table");
  await plan.getByRole("button", { name: "Remove" }).click();
  await plan.waitFor({ state: "detached" });
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
  await page.getByRole("button", { name: "Make the link" }).click();
  await page.waitForSelector(".shared input");
  const link = await page.locator(".shared input").inputValue();
  assert.ok(link.startsWith(server.url + "#/shared/"), link);
  const guest = await open(browser, link, { lang: "zh-CN" });
  await says(guest, "收件人不存在");
  assert.equal(await guest.locator("nav").count(), 0);
  assert.deepEqual(guest.faults, []);
  await visit(page, "#/settings/shares", "main table");
  await page.getByRole("button", { name: "End it now" }).first().click();
  await says(page, "Nothing is shared.");
  await guest.reload();
  await guest.waitForSelector("[role=alert]");
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

on("the overview answers, and leads to the messages", { as: "li" }, async (page) => {
  await visit(page, "#/", "main .figures");
  await reads(page, /delivery attempts|Mail is all right/);
  await reads(page, /[Gg]reylisted/);
  await page.locator(".figures dd a").nth(2).click(); // bounced, or what stands there
  await page.waitForSelector("main ul li");
});

on("a message is found by its recipient and told from the logs", { as: "li" }, async (page) => {
  await visit(page, "#/trace?q=wang@partner.example", "main ul li");
  await says(page, "no valid reverse name");
  await page.locator("main ul li a").first().click();
  await page.waitForSelector("main ol");
  await reads(page, /33 min of waiting/);
  await reads(page, /450 4\.7\.25[\s\S]*421[\s\S]*550 5\.7\.25/);
  await page.getByRole("button", { name: "Show raw lines" }).click();
  await page.waitForSelector("ol pre");
  assert.match(await page.locator("ol pre").first().innerText(), /sasl_username=li@mine\.example/);
  await visit(page, "#/settings/audit", "main table");
  await says(page, "read raw log lines");
});

on("bounces are told with their causes", { as: "li" }, async (page) => {
  await visit(page, "#/bounces", "main table");
  await says(page, "recipient does not exist");
});

on("a helpdesk finds the mail of its domains and no other", { as: "li" }, async (page) => {
  await visit(page, "#/settings/users", "main table");
  const form = page.locator("form");
  await form.getByLabel("Name").fill("shopdesk");
  await form.getByLabel("Password").fill(password);
  await form.getByLabel("Role").selectOption("helpdesk");
  await form.getByLabel("Domains").fill("shop.example");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.waitForFunction(() => [...document.querySelectorAll("main td")].some((d) => d.innerText === "shopdesk"));
  const desk = await open(browser, server.url);
  await login(desk, "shopdesk");
  await visit(desk, "#/trace?q=shop.example", "main ul li");
  await visit(desk, "#/trace?q=wang@partner.example", "main .none");
  assert.equal(await desk.locator("main ul li").count(), 0);
  assert.deepEqual(desk.faults, []);
  await desk.context().close();
});

on("a monitor of the configuration file fails, is taken on and muted; one of the page is made and deleted", { as: "li" }, async (page) => {
  await visit(page, "#/monitors", "main table");
  await page.getByRole("link", { name: "Our domain" }).first().click();
  await says(page, "kept in the configuration file");
  assert.equal(await page.getByRole("link", { name: "Edit" }).count(), 0);
  await page.getByRole("button", { name: "Run now" }).click();
  await page.waitForSelector("main tbody .mark"); // a sample
  await page.getByRole("button", { name: "Mute", exact: true }).click();
  await page.getByLabel("Reason").fill("provider is asked");
  await page.locator("dialog button.main").click();
  await says(page, "provider is asked");
  await page.getByRole("button", { name: "Unmute" }).click();
  await page.getByRole("button", { name: "Mute", exact: true }).waitFor();
  await page.getByRole("button", { name: "Replay 30 days" }).click();
  await page.waitForSelector(".replay");
  await accessible(page, "monitor");
  await visit(page, "#/monitors/new", "main select");
  await page.getByLabel("Kind").selectOption("domain");
  await page.getByLabel("Domain *").fill("partner.invalid");
  await page.getByLabel("Title").fill("Our partner");
  await page.getByRole("button", { name: "Save" }).click();
  await says(page, "Our partner: ");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator("dialog button.danger").click();
  await page.waitForFunction(() => location.hash === "#/monitors");
  await page.waitForFunction(() => !document.querySelector("main").innerText.includes("Our partner"));
});

on("the next hop of a mailbox is told with its socket, and times are the reader's", { as: "li" }, async (page) => {
  await visit(page, "#/trace?q=answer@answers.example", "main ul li");
  // The sentence of the server has another zone than the reader: only the reader's stands on the page.
  const { sentence, started } = await page.evaluate(async () => (await (await fetch("api/v1/trace?q=answer@answers.example")).json()).items[0]);
  assert.match(sentence, /\d\d:\d\d:\d\d [+-]\d{4}/);
  const berlin = new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Berlin", hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(new Date(started));
  assert.match(await page.locator("main ul li .why").first().innerText(), new RegExp(`at (\\d+ \\w+ )?${berlin}:`));
  await page.locator("main ul li a").first().click();
  await page.waitForSelector("main ol");
  await reads(page, /\[private\/dovecot-lmtp\]/);
});

on("lines that belong to no message are told where there is nothing else", { as: "li" }, async (page) => {
  await visit(page, "#/trace?q=203.0.113.77", "main ul li");
  await reads(page, /No message, but these log lines:[\s\S]*A connection of quiet\.stranger\.example \[203\.0\.113\.77\] without a message/);
});

on("a user is changed: role, domains, and no more log-in", { as: "li" }, async (page) => {
  await visit(page, "#/settings/users", "main table");
  const form = page.locator("section form");
  await form.getByLabel("Name").fill("temp");
  await form.getByLabel("Password").fill(password);
  await form.getByLabel("Role").selectOption("viewer");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  const row = page.getByRole("row", { name: /^temp/ });
  await row.getByRole("button", { name: "Change" }).click();
  const dialog = page.locator("dialog");
  await dialog.getByLabel("Role").selectOption("helpdesk");
  await dialog.getByLabel("Domains").fill("mine.example shop.example");
  await dialog.getByLabel("May not log in").check();
  await accessible(page, "a user's dialog");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row", { name: /^temp \(disabled\) helpdesk mine\.example, shop\.example/ }).waitFor();
});

on("what strangers write into logs, replies and headers is text and never a script", { as: "li" }, async (page) => {
  const clean = async (what) => {
    assert.equal(await page.evaluate(() => window.hacked), undefined, what);
    assert.equal(await page.locator("main script, main img, main svg[onload], main [onerror]").count(), 0, what);
    assert.deepEqual(page.faults, [], what); // the policy of the page would complain
  };
  await visit(page, "#/trace?q=subject:hostile", "main ul li");
  await page.waitForFunction((n) => document.querySelectorAll("main ul li a").length === n, scripts.length);
  await reads(page, /<script>window\.hacked=1<\/script>/);
  await clean("trace");
  const stories = await page.evaluate(() => [...document.querySelectorAll("main ul li a")].map((a) => a.getAttribute("href").replace(/\?.*/, "")));
  for (const s of stories) {
    await visit(page, s, "main ol");
    await page.getByRole("button", { name: "Show raw lines" }).click();
    await page.waitForSelector("ol pre");
    await clean(s);
  }
  for (const hash of ["#/", "#/bounces", "#/trace?q=203.0.113.100", "#/queue", "#/reports", "#/settings/audit"]) {
    await visit(page, hash);
    await settle(page);
    await clean(hash);
  }
  // The same as an argument of checks, whose words come back in the report and in the history.
  for (const x of scripts) {
    await visit(page, "#/check/explain", "form textarea");
    await page.locator("form textarea").first().fill(`550 5.7.1 ${x}`);
    await page.locator("form button.main").click();
    await page.waitForSelector("main article");
    await clean(x);
  }
  await visit(page, "#/check/headers", "form textarea");
  await page.locator("form textarea").first().fill(`Received: from ${scripts[0]} by ${scripts[2]}; Mon, 1 Jan 2024 00:00:00 +0000\nFrom: ${scripts[1]} <a@b.example>\nSubject: =?utf-8?q?=3Cscript=3Ewindow.hacked=3D1=3C/script=3E?=\nTo: x@y.example\n\nbody`);
  await page.locator("form button.main").click();
  await page.waitForSelector("main article");
  await clean("headers");
  await visit(page, "#/check", "main .history a");
  await clean("history");
  for (const x of scripts) {
    await page.evaluate((h) => (location.hash = h), `#/trace?q=${encodeURIComponent(x)}`); // an address somebody was sent
    await page.waitForSelector("main .none, main ul li, [role=alert]");
    await clean(`address ${x}`);
  }
});
