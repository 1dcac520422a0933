// The real server for the tests: `mailwhy serve` on a free port of loopback, in a folder of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { patience } from "./browser.mjs";

const tool = process.env.MAILWHY ?? fileURLToPath(new URL("../../mailwhy", import.meta.url));

// serve starts the server with a configuration (TOML, in which DIR is its folder) and files, and gives its address and the link of the first start.
export async function serve(config = "", files = {}) {
  const dir = await mkdtemp(join(tmpdir(), "mailwhy-ui-"));
  const file = join(dir, "mailwhy.toml");
  await writeFile(file, config.replaceAll("DIR", dir));
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text);
  const child = spawn(tool, ["serve", "--config", file, "--data", join(dir, "data"), "--listen", "127.0.0.1:0", "--lang", "en"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  const exited = new Promise((ok) => child.on("exit", ok));
  const link = await new Promise((ok, no) => {
    const late = setTimeout(() => no(new Error(`mailwhy serve told no link:\n${said}`)), patience);
    const read = (b) => {
      said += b;
      const m = /(http:\S+?\/)#\/setup\?token=(\w+)/.exec(said);
      if (!m) return;
      clearTimeout(late);
      ok({ url: m[1], token: m[2] });
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("exit", (code) => (clearTimeout(late), no(new Error(`mailwhy serve ended with ${code}:\n${said}`))));
  });
  return {
    ...link,
    dir,
    said: () => said,
    close: async () => {
      child.kill("SIGTERM");
      await exited;
      await rm(dir, { recursive: true, force: true });
    },
  };
}
