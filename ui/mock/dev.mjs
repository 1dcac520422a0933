// The pages under Vite with hot reload, before the stand-in server. Users: li (admin), zhao, helpdesk, guest.
import { createServer } from "vite";
import { start } from "./server.mjs";

const api = await start({ serveUI: false });
const vite = await createServer({ configFile: new URL("../vite.config.ts", import.meta.url).pathname, server: { port: 5173, proxy: { "/api": api.url } } });
await vite.listen();
vite.printUrls();
