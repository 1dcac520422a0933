// The pages in a browser, before the stand-in server: what a person does with each of them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { start } from "../mock/server.mjs";
import { accessible, fits, launch, login, open, patience, settle, visit } from "./browser.mjs";

let browser, server;
before(async () => {
  browser = await launch();
  server = await start({ prefix: "/mail/why" });
}, { timeout: patience });
after(async () => {
  await browser?.close();
  await server?.close();
});

// on runs a test in a page of its own, and then asks whether anything happened that must not.
const on = (name, options, f) =>
  test(name, { timeout: 4 * patience }, async () => {
    const page = await open(browser, server.url, options);
    try {
      if (options.as) await login(page, options.as);
      await f(page);
      assert.deepEqual(page.faults, []);
    } finally {
      await page.context().close();
    }
  });
const text = (page, selector = "main") => page.locator(selector).innerText();
// reads waits until the page says what the expression wants: what a page shows may come a frame later.
const reads = (page, re) => page.waitForFunction((r) => new RegExp(r).test(document.querySelector("main")?.innerText ?? ""), re.source);
const says = (page, words, selector = "main") => page.waitForFunction(([s, w]) => document.querySelector(s)?.innerText.includes(w), [selector, words]);

const all = {
  overview: "#/", trace: "#/trace?q=example", journey: "#/trace/j-strict", check: "#/check/bounce", result: "#/runs/r1", bounces: "#/bounces", reports: "#/reports", tls: "#/reports/tls", monitors: "#/monitors",
  monitor: "#/monitors/ptr", edit: "#/monitors/ptr?edit=1", queue: "#/queue", blocks: "#/blocks", inbox: "#/inbox", rules: "#/rules", settings: "#/settings", tokens: "#/settings/tokens", shares: "#/settings/shares", channels: "#/settings/channels", users: "#/settings/users", audit: "#/settings/audit",
};

for (const [look, options] of Object.entries({ "wide and light": {}, "narrow and dark": { width: 390, height: 844, dark: true }, "narrow and Chinese": { width: 390, height: 844, lang: "zh-CN" }, "wide, dark and Chinese": { dark: true, lang: "zh-CN" } })) {
  on(`every page is accessible and fits: ${look}`, options, async (page) => {
    await page.waitForSelector("form");
    await accessible(page, "login");
    await fits(page, "login");
    await login(page, "li");
    for (const [name, hash] of Object.entries(all)) {
      await visit(page, hash);
      await settle(page);
      await accessible(page, name);
      await fits(page, name);
      if (options.lang === "zh-CN") assert.match(await text(page), /[\u4e00-\u9fff]/, name);
    }
  });
}

on("a wrong password is told, the right one opens the overview", {}, async (page) => {
  await page.fill('input[name="name"]', "li");
  await page.fill('input[name="password"]', "wrong");
  await page.click("form button.main");
  await says(page, "Name or password is wrong.");
  await login(page, "li");
  await says(page, "Our sending address: 192.0.2.25 has no PTR record.");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForSelector('input[name="password"]');
});

test("the set-up link makes the first administrator", { timeout: 4 * patience }, async () => {
  const fresh = await start({ setup: true });
  const page = await open(browser, fresh.url + "#/setup?token=one-time");
  try {
    assert.equal(await page.inputValue('input[name="token"]'), "one-time");
    await accessible(page, "set-up");
    await page.fill('input[name="name"]', "li");
    await page.fill('input[name="password"]', "correct horse battery");
    await page.fill('input[name="again"]', "correct horse");
    await page.click("form button.main");
    await says(page, "The two passwords differ.");
    await page.fill('input[name="again"]', "correct horse battery");
    await page.click("form button.main");
    await page.waitForSelector("nav .brand");
    assert.equal(fresh.state.users[0].role, "admin");
    assert.deepEqual(page.faults, []);
  } finally {
    await page.context().close();
    await fresh.close();
  }
});

on("a search finds a message, and its story is told", { as: "li" }, async (page) => {
  await page.keyboard.press("/"); // from any page
  await page.waitForSelector("[data-search]");
  await page.fill("[data-search]", "wang@partner.example");
  await page.keyboard.press("Enter");
  await page.getByText("our address 192.0.2.25 has no PTR record").first().click();
  await says(page, "What happened");
  await says(page, "67 min of waiting");
  await reads(page, /relay\.mine\.example[\s\S]*450 4\.7\.25[\s\S]*550 5\.7\.25/);
  assert.equal(await page.locator("ol pre").count(), 0);
  await page.getByRole("button", { name: "Show raw lines" }).click();
  await page.waitForSelector("ol pre");
  assert.match(await page.locator("ol pre").first().innerText(), /sasl_username=li@mine\.example/);
});

on("check now runs a delivery for the recipient, live", { as: "zhao" }, async (page) => {
  await visit(page, "#/trace/j-strict");
  await page.getByRole("button", { name: "Check now" }).click();
  await says(page, "Not deliverable: mx.strict.example refuses the recipient");
  assert.ok(server.state.runs.some((r) => r.kind === "deliver" && r.args.to === "wang@partner.example" && r.by === "zhao"));
});

on("nothing found is said with what to try next", { as: "li" }, async (page) => {
  await visit(page, "#/trace?q=nobody-at-all", ".none");
  await reads(page, /Nothing about “nobody-at-all”[\s\S]*A longer time may help/);
});

on("a check runs from its form, and its result can be shared and compared", { as: "helpdesk" }, async (page) => {
  await visit(page, "#/check/check");
  await page.getByLabel("Domain *").fill("broken.example");
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await says(page, "has a mistake at character 15");
  await page.getByRole("link", { name: "Open the result by itself" }).click();
  await says(page, "Different from an earlier run");
  await page.getByRole("button", { name: "Share" }).click();
  await accessible(page, "share");
  await page.getByLabel("The link ends after").selectOption("30");
  await page.getByRole("button", { name: "Make the link" }).click();
  await says(page, "Whoever has this link");
  const link = await page.locator(".shared input").inputValue();
  assert.ok(link.startsWith(server.url + "#/shared/"), link);
  const guest = await open(browser, link);
  await guest.waitForSelector(".answer");
  await reads(guest, /has a mistake at character 15/);
  assert.equal(await guest.locator("nav").count(), 0);
  await accessible(guest, "shared");
  assert.deepEqual(guest.faults, []);
  await visit(page, "#/settings/shares", "main table");
  await page.getByRole("row", { name: /broken\.example/ }).getByRole("button", { name: "End it now" }).click();
  await says(page, "Nothing is shared.");
  await guest.reload();
  await guest.waitForSelector("[role=alert]");
  await guest.context().close();
});

on("channels are added, tried, changed and removed, and their secrets are not told", { as: "li" }, async (page) => {
  await visit(page, "#/settings/channels", "main table");
  await page.getByRole("button", { name: "Add a channel" }).click();
  await page.locator("dialog select").first().selectOption("slack");
  await accessible(page, "channel");
  await page.getByLabel("Name *").fill("day");
  await page.getByLabel("Address the chat gave out").fill("https://chat.example/hook/secret");
  await page.getByRole("button", { name: "Save" }).click();
  const row = page.getByRole("row", { name: /^day/ });
  await row.getByRole("button", { name: "Send a test" }).click();
  await says(page, "The test message was sent to day.");
  await page.getByRole("row", { name: /^night/ }).getByRole("button", { name: "Send a test" }).click();
  await says(page, "404 no_service");
  await row.getByRole("button", { name: "Change" }).click();
  assert.equal(await page.getByLabel("Address the chat gave out").inputValue(), "");
  await page.locator("dialog").getByLabel("From severity").selectOption("error");
  await page.getByRole("button", { name: "Save" }).click();
  await page.waitForFunction(() => !document.querySelector("dialog"));
  const kept = server.state.channels.find((c) => c.id === "day");
  assert.deepEqual([kept.severity, kept.secrets.join()], ["error", "hook"]);
  await row.getByRole("button", { name: "Remove" }).click();
  await page.locator("dialog button.danger").click();
  await row.waitFor({ state: "detached" });
  assert.equal(await page.getByRole("row", { name: /^admins/ }).getByRole("button", { name: "Change" }).count(), 0);
});

on("maintenance is planned and taken back", { as: "zhao" }, async (page) => {
  await visit(page, "#/monitors");
  await page.getByRole("button", { name: "Plan maintenance" }).click();
  await accessible(page, "plan maintenance");
  await page.getByLabel("Reason").fill("new kernel");
  await page.getByLabel("Hours").fill("3");
  await page.getByRole("button", { name: "Plan it" }).click();
  const row = page.locator("li", { hasText: "new kernel" });
  await row.waitFor();
  const p = server.state.plans.at(-1);
  assert.equal(new Date(p.to) - new Date(p.from), 3 * 3600e3);
  await row.getByRole("button", { name: "Remove" }).click();
  await row.waitFor({ state: "detached" });
});

on("a monitor that is changed keeps what was not touched", { as: "zhao" }, async (page) => {
  const m = server.state.monitors.find((x) => x.id === "ptr");
  const title = m.title;
  Object.assign(m, { fail_on: "warning", ignore: ["dmarc.*"], slower_than_ms: 400 });
  await visit(page, "#/monitors/ptr?edit=1");
  await page.getByLabel("Title").fill("Sending address");
  await page.getByRole("button", { name: "Save" }).click();
  await says(page, "Sending address");
  const now = server.state.monitors.find((x) => x.id === "ptr");
  assert.deepEqual([now.fail_on, now.ignore.join(), now.slower_than_ms], ["warning", "dmarc.*", 400]);
  now.title = m.title = title;
});

on("a refused target is said at its field", { as: "zhao" }, async (page) => {
  await visit(page, "#/check/ip");
  await page.getByLabel("IP address *").fill("127.0.0.1");
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await says(page, "private and loopback addresses are not probed");
  assert.equal(await page.locator('[aria-invalid="true"]').count(), 1);
});

on("a command of a finding runs here", { as: "li" }, async (page) => {
  await visit(page, "#/trace/j-strict");
  await page.getByRole("link", { name: "Run here" }).first().click();
  await page.waitForSelector("form");
  assert.equal(await page.getByLabel("IP address *").inputValue(), "192.0.2.25");
});

on("a monitor is muted with a reason, replayed, added and deleted", { as: "zhao" }, async (page) => {
  await visit(page, "#/monitors");
  await page.getByRole("cell", { name: "Our sending address" }).getByRole("link").click();
  await page.getByRole("button", { name: "Mute", exact: true }).click();
  await page.getByLabel("Reason").fill("provider is asked");
  await accessible(page, "mute");
  await page.locator("dialog button.main").click();
  await says(page, "provider is asked");
  assert.equal(server.state.monitors.find((m) => m.id === "ptr").muted.by, "zhao");
  await page.getByRole("button", { name: "Unmute" }).click();
  await page.getByRole("button", { name: "Take it on" }).click();
  await says(page, "taken on by zhao");
  await page.getByRole("button", { name: "Replay 30 days" }).click();
  await says(page, "it would have fired 3 times, 1 of them flaps");
  await visit(page, "#/monitors/new");
  await page.getByLabel("Domain *").fill("partner.example");
  await page.getByLabel("Title").fill("Our partner");
  await page.getByRole("button", { name: "Save" }).click();
  await says(page, "Our partner: Not yet run");
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.locator("dialog button.danger").click();
  await page.waitForFunction(() => location.hash === "#/monitors");
  assert.ok(!server.state.monitors.some((m) => m.title === "Our partner"));
});

on("a proposal is approved by who may", { as: "li" }, async (page) => {
  await visit(page, "#/monitors", ".proposal");
  await says(page, "somebody has to carry it out by hand");
  await page.getByRole("button", { name: "Approve" }).click();
  await reads(page, /Approved by li[\s\S]*To be carried out by hand, and undone at the end:[\s\S]*\+ /);
  assert.equal(await page.getByRole("button", { name: "Approve" }).count(), 0);
  assert.equal(server.state.proposals[0].state, "approved");
});

on("the way to a server is drawn, with real loss in a colour of its own", { as: "li" }, async (page) => {
  await visit(page, "#/queue", "main svg");
  const count = (sel) => page.locator(`main svg ${sel}`).count();
  assert.deepEqual([await count(".hop"), await count(".silent"), await count(".limited"), await count(".lossy"), await count(".shut")], [5, 1, 1, 1, 1]);
  assert.match(await page.locator("main svg .limited title").textContent(), /limits its own answers \(80 % unanswered\)/);
  await accessible(page, "a way");
});

on("each role sees what it may", { as: "guest" }, async (page) => {
  await visit(page, "#/trace/j-strict");
  assert.equal(await page.getByRole("button", { name: "Show raw lines" }).count(), 0);
  await visit(page, "#/monitors/ptr");
  assert.equal(await page.getByRole("button", { name: "Mute" }).count(), 0);
  await visit(page, "#/settings");
  assert.doesNotMatch(await text(page), /Users|Audit log/);
});

on("a page the server does not have for us is absent from the menu", { as: "helpdesk" }, async (page) => {
  const names = await text(page, "nav ul");
  assert.match(names, /Bounces/);
  assert.doesNotMatch(names, /Reports/);
});

on("an entry of the blocklist is proposed, approved and taken back", { as: "li" }, async (page) => {
  await visit(page, "#/blocks");
  await page.getByLabel("Address, network or domain").fill("203.0.113.7");
  await page.getByLabel("Reason").fill("password guessing at night");
  await page.getByRole("button", { name: "Propose" }).click();
  const proposal = page.locator(".proposal", { hasText: "203.0.113.7" });
  await proposal.getByRole("button", { name: "Approve" }).click();
  const row = page.getByRole("row", { name: /203\.0\.113\.7/ });
  await row.getByRole("button", { name: "Take back" }).click();
  await row.waitFor({ state: "detached" });
  assert.equal(server.state.blocks.at(-1).state, "removed");
});

on("a test mail is waited for and judged", { as: "li" }, async (page) => {
  await visit(page, "#/inbox");
  await page.getByRole("button", { name: "Make an address" }).click();
  await says(page, "@inbox.mine.example");
  await says(page, "li@mine.example · Test");
  await page.waitForSelector("main article");
});

on("rules are found by their words", { as: "li" }, async (page) => {
  await visit(page, "#/rules", "main details");
  const everything = await page.locator("main details").count();
  await page.fill("[data-search]", "reverse name");
  await page.waitForFunction((n) => document.querySelectorAll("main details").length < n, everything);
  await reads(page, /ptr\.missing/);
  await visit(page, "#/rules/ptr.missing");
});

on("users come and go, and a token is told once", { as: "li" }, async (page) => {
  await visit(page, "#/settings/users", "main table");
  await page.locator("form").getByLabel("Name").fill("sun");
  await page.locator("form").getByLabel("Password").fill("correct horse battery");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await says(page, "sun");
  await page.getByRole("row", { name: /sun/ }).getByRole("button", { name: "Delete" }).click();
  await page.locator("dialog button.danger").click();
  await page.waitForFunction(() => ![...document.querySelectorAll("main td")].some((d) => d.innerText === "sun"));
  await visit(page, "#/settings/tokens");
  await page.getByLabel("For what").fill("dashboard");
  await page.getByRole("button", { name: "Make a token" }).click();
  await says(page, "mw_4f1c9a77d0b24e2f");
});

on("language and theme are kept", { as: "zhao" }, async (page) => {
  await page.getByRole("button", { name: "中文" }).click();
  await says(page, "总览", "nav");
  await page.getByRole("button", { name: "主题：跟随系统" }).click();
  await page.getByRole("button", { name: "主题：浅色" }).click();
  await page.reload();
  await page.waitForSelector("nav .brand");
  assert.equal(await page.evaluate(() => [document.documentElement.lang, document.documentElement.dataset.theme].join()), "zh-CN,dark");
});

on("the keyboard is enough", { as: "li" }, async (first) => {
  const page = await first.context().newPage(); // one that is opened begins at its top
  page.setDefaultTimeout(patience);
  await page.goto(server.url);
  await page.waitForSelector("main .figures");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className.split(" ")[0]), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  assert.equal(await page.evaluate(() => location.hash), "");
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog"));
  await page.keyboard.press("6");
  await page.waitForFunction(() => location.hash === "#/monitors");
});

on("a server that went away is said, and asked again", { as: "li" }, async (page) => {
  await page.route("**/api/v1/bounces*", (r) => r.abort());
  await visit(page, "#/bounces", "[role=alert]");
  await says(page, "The server does not answer.");
  await page.unroute("**/api/v1/bounces*");
  await page.getByRole("button", { name: "Try again" }).click();
  await says(page, "deliveries failed");
});

on("an ended session leads to the login", { as: "guest" }, async (page) => {
  server.state.sessions.clear();
  await page.evaluate(() => (location.hash = "#/bounces"));
  await page.waitForSelector('input[name="password"]');
});
