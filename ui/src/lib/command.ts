// From a command line of the tool to the page that runs the same.
import { href } from "./route.svelte";
import { kinds } from "./session.svelte";

// runLink gives the address of the form filled in as the command says, or "" where the form cannot say it.
export function runLink(line: string): string {
  const [tool, kind, ...rest] = words(line);
  const k = kinds()?.runs.find((r) => r.kind === kind);
  if (tool !== "mailwhy" || !k || rest.length === 0) return "";
  const args: Record<string, string> = {};
  const open = k.fields.filter((f) => f.required);
  for (let i = 0; i < rest.length; i++) {
    const w = rest[i] ?? "";
    if (w.startsWith("-")) {
      const [name = "", given] = w.replace(/^--?/, "").split("=", 2);
      const f = k.fields.find((x) => x.name === name.replaceAll("-", "_"));
      if (!f) return "";
      args[f.name] = f.type === "bool" ? "true" : (given ?? rest[++i] ?? "");
    } else {
      const f = open.shift();
      if (!f) return "";
      args[f.name] = w;
    }
  }
  // A file of somebody's machine is no text, and an address is no name of an account.
  const fits = k.fields.every((f) => !args[f.name] || (f.type !== "textarea" && (!f.choices?.length || f.choices.some((c) => (typeof c === "string" ? c : c.value) === args[f.name]))));
  return fits ? href("check", kind, args) : "";
}

// words splits at blanks; quotes hold together.
function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2] ?? m[3] ?? "");
}
