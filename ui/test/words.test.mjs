// Both languages say the same things, nothing is said that stands in no catalogue, and nothing stands there unsaid.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import test from "node:test";
import { parse } from "svelte/compiler";

const src = new URL("../src/", import.meta.url);
const read = (name) => readFile(new URL(name, src), "utf8");
const en = JSON.parse(await read("i18n/en.json"));
const zh = JSON.parse(await read("i18n/zh.json"));
const files = (await readdir(src, { recursive: true })).filter((f) => /\.(svelte|ts)$/.test(f));
const sources = new Map(await Promise.all(files.map(async (f) => [f, await read(f)])));

test("both catalogues have the same keys", () => {
  assert.deepEqual(Object.keys(zh), Object.keys(en));
});

test("both languages fill in the same particulars", () => {
  const names = (s) => [...new Set([...s.matchAll(/\{(\w+)/g)].map((m) => m[1]))].sort();
  for (const [k, v] of Object.entries(en)) assert.deepEqual(names(zh[k]).filter((n) => !names(v).includes(n)), [], `${k} in Chinese`);
  for (const [k, v] of Object.entries(en)) assert.deepEqual(names(v).filter((n) => !names(zh[k]).includes(n)), [], `${k} in English has more`);
});

test("Chinese prose has full-width punctuation", () => {
  for (const [k, v] of Object.entries(zh)) {
    const bare = v.replace(/\{[^}]*\}/g, "字");
    assert.ok(!/[\u4e00-\u9fff][,:;?!()]|[,;?!(][\u4e00-\u9fff]|[\u4e00-\u9fff]\.(\s|$)/.test(bare), `${k}: ${v}`);
  }
});

test("every key is used, and every key that is used exists", () => {
  const all = [...sources.values()].join("\n");
  const said = new Set([...all.matchAll(/\bt\(\s*"([^"]+)"/g)].map((m) => m[1]));
  const families = new Set([...all.matchAll(/\bword\(\s*"([^"]+)"/g)].map((m) => m[1]));
  const prefixes = [...all.matchAll(/\bt\(\s*`([\w.]+\.)\$\{/g)].map((m) => m[1]);
  // A key may also be chosen by a condition: t(a ? "x" : "y").
  for (const m of all.matchAll(/"([a-z]+(?:\.[\w-]+)+)"/g)) if (m[1] in en) said.add(m[1]);
  for (const k of said) assert.ok(k in en, `${k} stands in no catalogue`);
  const idle = Object.keys(en).filter((k) => !said.has(k) && !families.has(k.slice(0, k.indexOf("."))) && !prefixes.some((p) => k.startsWith(p)));
  assert.deepEqual(idle, [], "keys that nothing says");
});

// Text that is no language: marks, names of the field, examples.
const verbatim = /^(mailwhy|MX|SPF|DKIM|OK|Esc|FAIL|WARN|NOTE)$/;
const attributes = /^(title|alt|label|aria-label|aria-description|placeholder|aria-roledescription|aria-valuetext)$/;

test("no component speaks by itself", () => {
  const found = [];
  for (const [name, text] of sources) {
    if (!name.endsWith(".svelte")) continue;
    const words = (s) => /\p{L}{2,}/u.test(s) && !s.trim().split(/\s+/).every((w) => verbatim.test(w) || /example|^\d|\//.test(w));
    walk(parse(text, { modern: true }).fragment, (n) => {
      if (n.type === "Text" && words(n.data)) found.push(`${name}: ${n.data.trim()}`);
      if (n.type === "Attribute" && attributes.test(n.name) && Array.isArray(n.value)) for (const v of n.value) if (v.type === "Text" && words(v.data)) found.push(`${name}: ${n.name}=${v.data}`);
      return n.type !== "Attribute" && n.type !== "StyleDirective";
    });
  }
  assert.deepEqual(found, []);
});

function walk(node, see) {
  if (!node || typeof node !== "object") return;
  if (Array.isArray(node)) {
    for (const n of node) walk(n, see);
    return;
  }
  if (typeof node.type === "string" && !see(node)) return;
  for (const [k, v] of Object.entries(node)) if (k !== "parent" && v && typeof v === "object") walk(v, see);
}

test("nothing is styled or scripted inline, which the policy of the page forbids", () => {
  for (const [name, text] of sources) assert.ok(!/\sstyle="|innerHTML|\{@html|setAttribute\("style"/.test(text), name);
});

test("nothing names an address of another host, except the standards that findings cite", () => {
  for (const [name, text] of sources) for (const m of text.matchAll(/https?:\/\/[^\s"'`$]+/g)) assert.match(m[0], /^https:\/\/www\.rfc-editor\.org\//, name);
});
