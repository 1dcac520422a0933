// Fails where the pages have grown beyond what a first load may weigh: all of them together, compressed.
import { readdir, readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const most = 200_000; // bytes
const dir = new URL("../internal/web/dist/", import.meta.url);
let sum = 0;
for (const f of await readdir(dir, { recursive: true, withFileTypes: true })) {
  if (f.isFile()) sum += gzipSync(await readFile(`${f.parentPath ?? f.path}/${f.name}`), { level: 9 }).length;
}
console.log(`all pages, compressed: ${(sum / 1000).toFixed(1)} kB of at most ${most / 1000} kB`);
if (sum > most) process.exit(1);
