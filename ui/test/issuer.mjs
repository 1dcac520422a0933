// A small sign-on service for the tests: OpenID Connect with one user, who is always signed in there.
import { createHash, createSign, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

// issuer gives its address; who changes what the next token says of the user.
export async function issuer() {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const asked = new Map(); // code: what the request was
  const it = { url: "", who: { sub: "42", preferred_username: "wang", groups: ["staff"] }, close: () => new Promise((ok) => server.close(ok)) };
  const json = (res, v, status = 200) => res.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(v));
  const token = (nonce) => {
    const now = Math.floor(Date.now() / 1000);
    const part = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
    const text = `${part({ alg: "RS256", kid: "1" })}.${part({ iss: it.url, aud: "mailwhy", iat: now, exp: now + 300, nonce, ...it.who })}`;
    return `${text}.${createSign("RSA-SHA256").update(text).sign(privateKey).toString("base64url")}`;
  };
  const server = createServer(async (req, res) => {
    const u = new URL(req.url, it.url);
    if (u.pathname === "/.well-known/openid-configuration")
      return json(res, { issuer: it.url, authorization_endpoint: `${it.url}/auth`, token_endpoint: `${it.url}/token`, jwks_uri: `${it.url}/keys`, id_token_signing_alg_values_supported: ["RS256"] });
    if (u.pathname === "/keys") return json(res, { keys: [{ ...publicKey.export({ format: "jwk" }), kid: "1", use: "sig", alg: "RS256" }] });
    if (u.pathname === "/auth") {
      const q = u.searchParams;
      const code = `code${asked.size}`;
      asked.set(code, { nonce: q.get("nonce"), challenge: q.get("code_challenge") });
      return res.writeHead(302, { Location: `${q.get("redirect_uri")}?${new URLSearchParams({ code, state: q.get("state") })}` }).end();
    }
    if (u.pathname === "/token") {
      let text = "";
      for await (const b of req) text += b;
      const q = new URLSearchParams(text);
      const was = asked.get(q.get("code"));
      asked.delete(q.get("code"));
      if (!was || createHash("sha256").update(q.get("code_verifier") ?? "").digest("base64url") !== was.challenge) return json(res, { error: "invalid_grant" }, 400);
      return json(res, { access_token: "x", token_type: "Bearer", id_token: token(was.nonce) });
    }
    json(res, { error: "not_found" }, 404);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  it.url = `http://127.0.0.1:${server.address().port}`;
  return it;
}
