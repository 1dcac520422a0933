// Writes src/lib/openapi.ts: the shapes of the API as docs/openapi.json has them. It is made anew at every build and not
// committed; src/lib/contract.ts holds what the pages read against it.
import { readFile, writeFile } from "node:fs/promises";

const doc = JSON.parse(await readFile(new URL("../docs/openapi.json", import.meta.url), "utf8"));
const name = (ref) => JSON.stringify(ref.split("/").at(-1));

function type(s) {
  if (!s || Object.keys(s).length === 0) return "unknown";
  if (s.$ref) return `Api[${name(s.$ref)}]`;
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(" | ");
  const kinds = [s.type].flat().filter((t) => t !== "null"); // a list may be null in the schema, and never is on the wire
  return kinds.map((t) => one(t, s)).join(" | ") || "unknown";
}
function one(t, s) {
  if (t === "array") return `(${type(s.items)})[]`;
  if (t === "integer" || t === "number") return "number";
  if (t === "boolean" || t === "string") return t;
  if (s.properties) return fields(s);
  return s.additionalProperties && typeof s.additionalProperties === "object" ? `Record<string, ${type(s.additionalProperties)}>` : "Record<string, unknown>";
}
const fields = (s) => `{ ${Object.entries(s.properties ?? {}).filter(([k]) => k !== "$schema").map(([k, v]) => `${JSON.stringify(k)}${s.required?.includes(k) ? "" : "?"}: ${type(v)}`).join("; ")} }`;

const lines = Object.entries(doc.components.schemas).map(([k, v]) => `  ${JSON.stringify(k)}: ${type(v)};`);
await writeFile(new URL("src/lib/openapi.ts", import.meta.url), `// Made by types.mjs of docs/openapi.json: do not edit.\nexport interface Api {\n${lines.join("\n")}\n}\n`);
