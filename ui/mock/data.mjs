// What the stand-in server tells: a plausible day of two mail servers. Times are relative to now.

// A small generator with a fixed start, so that two runs tell the same.
export function dice(seed) {
  let s = seed >>> 0;
  return () => {
    s = (s * 1664525 + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
}

export const two = (en, zh) => ({ en, zh });
const say = (v, lang) => (v && typeof v === "object" && "en" in v && "zh" in v ? v[lang] : v);
// inLang says every two-language value of a structure in one language.
export function inLang(v, lang) {
  if (Array.isArray(v)) return v.map((x) => inLang(x, lang));
  if (v && typeof v === "object") return "en" in v && "zh" in v ? say(v, lang) : Object.fromEntries(Object.entries(v).map(([k, x]) => [k, inLang(x, lang)]));
  return v;
}

const at = (minutesAgo, seconds = 0) => new Date(Date.now() - minutesAgo * 60e3 + seconds * 1e3).toISOString();

export const causes = [
  { cause: "greylisting", title: two("greylisted: accepted on a later try", "灰名单：稍后重试即可接收"), owner: "nobody", count: 212, deferred: 212, bounced: 0, rejected: 0 },
  { cause: "rate-limit", title: two("too many messages at once for the recipient's provider", "发送过快，被收件方服务商限速"), owner: "self", count: 148 },
  { cause: "mailbox-full", title: two("mailbox is full", "邮箱已满"), owner: "recipient", count: 41 },
  { cause: "user-unknown", title: two("recipient does not exist", "收件人不存在"), owner: "sender", count: 33, deferred: 0, bounced: 33, rejected: 0 },
  { cause: "reputation", title: two("our address has a bad reputation there", "我方 IP 在对方信誉不佳"), owner: "self", count: 12 },
  { cause: "dns", title: two("recipient's domain has no working mail server in DNS", "收件方域名在 DNS 中没有可用的邮件服务器"), owner: "domain", count: 4 },
  { cause: "blocklist", title: two("listed on a DNS blocklist", "被列入 DNS 黑名单"), owner: "self", count: 1890, deferred: 0, bounced: 0, rejected: 1890 },
  { cause: "relay-denied", title: two("relaying is denied", "禁止中继"), owner: "self", count: 320, deferred: 0, bounced: 0, rejected: 320 },
];

export function overview(sinceIso) {
  const r = dice(7);
  const n = Math.min(24 * 30, Math.max(24, Math.round((Date.now() - new Date(sinceIso ?? at(1440)).getTime()) / 3600e3)));
  const hours = Array.from({ length: n }, (_, i) => {
    const when = new Date(Date.now() - (n - 1 - i) * 3600e3);
    when.setUTCMinutes(0, 0, 0);
    const day = 0.25 + 0.75 * Math.max(0, Math.sin(((when.getUTCHours() - 5) / 24) * 2 * Math.PI));
    const delivered = Math.round(900 * day * (0.85 + 0.3 * r()));
    return {
      at: when.toISOString(), received: Math.round(delivered * 1.04), delivered,
      deferred: Math.round(delivered * 0.02 + 9 * r() + (i === n - 6 ? 120 : 0)), bounced: Math.round(4 * r()), rejected: Math.round(70 + 60 * r()),
    };
  });
  const sum = (k) => hours.reduce((t, h) => t + h[k], 0);
  return {
    totals: { received: sum("received"), delivered: sum("delivered"), deferred: sum("deferred"), bounced: sum("bounced"), rejected: sum("rejected"), discarded: 3, bytes: 4.1e9 },
    hours,
    providers: [
      { name: "partner.example", delivered: 4210, deferred: 12, bounced: 3, acceptance: 0.996 },
      { name: "bigmail.example", delivered: 3122, deferred: 148, bounced: 12, acceptance: 0.951 },
      { name: "university.example", delivered: 1280, deferred: 206, bounced: 4, acceptance: 0.859 },
      { name: "customer.example", delivered: 610, deferred: 4, bounced: 1, acceptance: 0.992 },
      { name: "slow.example", delivered: 41, deferred: 37, bounced: 0, acceptance: 0.526 },
      { name: "old.example", delivered: 12, deferred: 0, bounced: 9, acceptance: 0.571 },
    ],
    causes,
    hosts: [
      { name: "mx1.mine.example", last_seen: at(0, -2), lag_ms: 180, clock_skew_ms: 12 },
      { name: "mx2.mine.example", last_seen: at(0, -1), lag_ms: 210, clock_skew_ms: -2740 },
      { name: "relay.mine.example", last_seen: at(0, -4), lag_ms: 420, clock_skew_ms: 3 },
    ],
    queue: { size: 164, oldest: at(760), deferred: 151, host: "mx1.mine.example" },
    monitors: { ok: 3, failing: 1, unknown: 1, muted: 1 },
    lag_ms: 420,
    headline: { state: "broken", owner: "server", next: "mailwhy ip 192.0.2.25", text: two("Our sending address: 192.0.2.25 has no PTR record. 95.6 % of delivery attempts were accepted.", "我方发信地址：192.0.2.25 没有 PTR 记录。投递尝试的接受率为 95.6%。") },
    sources: [
      { name: "file:/var/log/mail.log", kind: "files", lines: 8204113, behind_bytes: 0, spooled_bytes: 0, dropped: 0, stored: at(0, -2) },
      { name: "syslog:tcp://192.0.2.10:601", kind: "syslog", lines: 1120345, behind_bytes: 0, spooled_bytes: 48e6, dropped: 12, stored: at(3) },
    ],
    newest: [
      { at: at(192), verdict: "error", title: two("Our sending address", "我方发信地址"), text: two("192.0.2.25 has no PTR record.", "192.0.2.25 没有 PTR 记录。"), owner: "server", next: "mailwhy ip 192.0.2.25", monitor: "ptr" },
      { at: at(42), verdict: "warning", title: two("queue of mx1.mine.example", "mx1.mine.example 的队列"), text: two("148 messages for bigmail.example wait because it limits our rate.", "因对方限速，发往 bigmail.example 的 148 封邮件在等待。"), owner: "self", queue: "mx1.mine.example" },
      { at: at(900), ended: at(760), verdict: "error", title: two("Certificate of mx2", "mx2 的证书"), text: two("The certificate of mx2.mine.example ended.", "mx2.mine.example 的证书已过期。"), owner: "server", monitor: "cert" },
    ],
  };
}

const line = (host, minutes, s, program, queue, text) => `${new Date(Date.now() - minutes * 60e3 + s * 1e3).toISOString()} ${host} ${program}: ${queue ? queue + ": " : ""}${text}`;

function journey(id, o) {
  const from = o.from ?? "li@mine.example";
  const steps = [];
  const put = (host, min, s, program, kind, text, more = {}) => {
    steps.push({ at: at(min, s), host, program, kind, queue_id: o.queue, ...more, line: line(host, min, s, program, o.queue, text), offset: steps.length * 180, file: "/var/log/mail.log" });
  };
  o.steps(put);
  return {
    id,
    summary: {
      id, started: steps[0].at, ended: steps.at(-1).at, from, state: o.state, subject: o.subject, sentence: o.sentence, cause: o.cause, owner: o.owner ?? "nobody",
      recipients: o.recipients.map((r) => ({ to: r.to, status: r.status, relay: r.relay, code: r.code, text: r.text })), message_ids: [o.mid], queue_ids: [o.queue], hosts: [...new Set(steps.map((s) => s.host))],
    },
    journey: {
      queue_ids: [o.queue], message_ids: [o.mid], hosts: [...new Set(steps.map((s) => s.host))], from, subject: o.subject, size: o.size ?? 18231,
      client: o.client ?? { name: "pc17.mine.example", ip: "192.0.2.117", user: from, tls: "TLSv1.3 TLS_AES_256_GCM_SHA384" }, state: o.state, direction: o.direction ?? "out",
      recipients: o.recipients.map((r) => ({ attempts: 1, at: steps.at(-1).at, ...r })), started: steps[0].at, ended: steps.at(-1).at, removed: true, steps,
    },
    headline: { state: o.mark ?? "ok", text: o.sentence, owner: o.owner ?? "nobody", ...(o.next ? { next: o.next } : {}) },
    findings: o.findings ?? [],
  };
}

const submit = (put, min, from, subject, mid) => {
  put("mx1.mine.example", min, 0, "postfix/submission/smtpd[2113]", "received", `client=pc17.mine.example[192.0.2.117], sasl_method=PLAIN, sasl_username=${from}`, { client: "pc17.mine.example", client_ip: "192.0.2.117", user: from });
  put("mx1.mine.example", min, 0.1, "postfix/cleanup[2117]", "message-id", `message-id=<${mid}>`, { message_id: mid });
  put("mx1.mine.example", min, 0.1, "postfix/cleanup[2117]", "subject", `warning: header Subject: ${subject}`, { subject });
  put("mx1.mine.example", min, 0.2, "postfix/qmgr[990]", "active", `from=<${from}>, size=18231, nrcpt=1 (queue active)`, { from, size: 18231 });
};

export const journeys = [
  journey("j-strict", {
    queue: "4ZkQ7h2Tzzz1", mid: "20261122.081512@mine.example", subject: "Quarterly figures", state: "bounced", cause: "no-ptr", owner: "self", mark: "broken",
    sentence: two("Refused by mx1.partner.example: our address 192.0.2.25 has no PTR record.", "被 mx1.partner.example 拒收：我方地址 192.0.2.25 没有反向解析（PTR）记录。"), next: "mailwhy ip 192.0.2.25",
    recipients: [{ to: "wang@partner.example", status: "bounced", relay: "mx1.partner.example", relay_ip: "198.51.100.7", code: 550, dsn: "5.7.25", text: "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25]", attempts: 3 }],
    steps: (put) => {
      submit(put, 131, "li@mine.example", "Quarterly figures", "20261122.081512@mine.example");
      put("relay.mine.example", 131, 1.2, "postfix/smtpd[811]", "received", "client=mx1.mine.example[192.0.2.10]", { queue_id: "4ZkQ7j0B12z9", client: "mx1.mine.example", client_ip: "192.0.2.10" });
      put("relay.mine.example", 131, 2, "rspamd[400]", "filter", "add header 2.1/15", { queue_id: "4ZkQ7j0B12z9", filter: "rspamd", verdict: "no action", score: 2.1 });
      put("relay.mine.example", 131, 4, "postfix/smtp[823]", "delivery", "to=<wang@partner.example>, relay=mx1.partner.example[198.51.100.7]:25, delay=4, dsn=4.7.25, status=deferred (host said: 450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.25])", { queue_id: "4ZkQ7j0B12z9", to: "wang@partner.example", status: "deferred", relay: "mx1.partner.example", relay_ip: "198.51.100.7", port: 25, code: 450, dsn: "4.7.25", text: "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.25]" });
      put("relay.mine.example", 98, 0, "postfix/smtp[901]", "delivery", "to=<wang@partner.example>, relay=mx2.partner.example[198.51.100.8]:25, status=deferred (host said: 421 too many connections)", { queue_id: "4ZkQ7j0B12z9", to: "wang@partner.example", status: "deferred", relay: "mx2.partner.example", relay_ip: "198.51.100.8", port: 25, code: 421, text: "421 too many connections" });
      put("relay.mine.example", 31, 0, "postfix/smtp[944]", "delivery", "to=<wang@partner.example>, relay=mx1.partner.example[198.51.100.7]:25, dsn=5.7.25, status=bounced (host said: 550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25])", { queue_id: "4ZkQ7j0B12z9", to: "wang@partner.example", status: "bounced", relay: "mx1.partner.example", relay_ip: "198.51.100.7", port: 25, code: 550, dsn: "5.7.25", text: "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25]" });
      put("relay.mine.example", 31, 0.2, "postfix/bounce[950]", "notification", "sender non-delivery notification: 4ZkQs10B12zA", { queue_id: "4ZkQ7j0B12z9", ref: "4ZkQs10B12zA", ref_is: "bounce" });
      put("relay.mine.example", 31, 0.3, "postfix/qmgr[600]", "removed", "removed", { queue_id: "4ZkQ7j0B12z9" });
    },
    findings: [
      {
        id: "trace.refused", verdict: "error", outcome: "fail", severity: "error", owner: "self", subject: { kind: "address", name: "wang@partner.example" }, title: two("refused by the next host", "被下一跳拒收"),
        text: two("mx1.partner.example refuses wang@partner.example: our address 192.0.2.25 has no PTR record.", "mx1.partner.example 拒收 wang@partner.example：我方地址 192.0.2.25 没有反向解析（PTR）记录。"),
        observed: "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25]", expected: two("a name that points back to 192.0.2.25", "一个能解析回 192.0.2.25 的主机名"),
        evidence: [{ source: "log", place: "relay.mine.example", at: at(31), raw: "status=bounced (host said: 550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25])" }],
        why: two("Most large providers refuse or defer mail from addresses without one.", "多数大型服务商会拒收或延迟没有反向解析的地址发来的邮件。"), repair: two("Ask the holder of the address range for a PTR record.", "请 IP 段的持有者添加 PTR 记录。"),
        fix: [{ kind: "dns-add", target: "25.2.0.192.in-addr.arpa PTR", new: "mail.mine.example." }], verify: "mailwhy ip 192.0.2.25", refs: [{ rfc: 1912, section: "2.1" }],
      },
    ],
  }),
  journey("j-fine", {
    queue: "4ZkQ8k1Xzzz2", mid: "a81f.77@mine.example", subject: "Re: offer", state: "delivered",
    sentence: two("Delivered to mx1.customer.example after 2 s.", "2 秒后投递到 mx1.customer.example。"),
    recipients: [{ to: "chen@customer.example", status: "sent", relay: "mx1.customer.example", relay_ip: "203.0.113.9", code: 250, dsn: "2.0.0", text: "250 2.0.0 Ok: queued as 99F1" }],
    steps: (put) => {
      submit(put, 12, "li@mine.example", "Re: offer", "a81f.77@mine.example");
      put("mx1.mine.example", 12, 2, "postfix/smtp[2120]", "delivery", "to=<chen@customer.example>, relay=mx1.customer.example[203.0.113.9]:25, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 99F1)", { to: "chen@customer.example", status: "sent", relay: "mx1.customer.example", relay_ip: "203.0.113.9", port: 25, code: 250, dsn: "2.0.0", text: "250 2.0.0 Ok: queued as 99F1", tls: "TLSv1.3" });
      put("mx1.mine.example", 12, 2.1, "postfix/qmgr[990]", "removed", "removed");
    },
  }),
  journey("j-grey", {
    queue: "4ZkQ9m4Vzzz3", mid: "b19@mine.example", from: "zhao@mine.example", subject: "Seminar room", state: "deferred", cause: "greylisting", mark: "warning",
    sentence: two("Waits: mx.university.example greylists us; the next try follows by itself.", "等待中：mx.university.example 启用了灰名单，稍后会自动重试。"),
    recipients: [{ to: "office@university.example", status: "deferred", relay: "mx.university.example", relay_ip: "203.0.113.40", code: 451, dsn: "4.7.1", text: "451 4.7.1 Greylisted, try again in 300 seconds" }, { to: "dean@university.example", status: "deferred", relay: "mx.university.example", code: 451, dsn: "4.7.1", text: "451 4.7.1 Greylisted, try again in 300 seconds" }],
    steps: (put) => {
      submit(put, 4, "zhao@mine.example", "Seminar room", "b19@mine.example");
      for (const to of ["office@university.example", "dean@university.example"]) put("mx1.mine.example", 4, 3, "postfix/smtp[2120]", "delivery", `to=<${to}>, relay=mx.university.example[203.0.113.40]:25, dsn=4.7.1, status=deferred (host said: 451 4.7.1 Greylisted)`, { to, status: "deferred", relay: "mx.university.example", relay_ip: "203.0.113.40", port: 25, code: 451, dsn: "4.7.1", text: "451 4.7.1 Greylisted, try again in 300 seconds" });
    },
  }),
  journey("j-in", {
    queue: "4ZkQ9p7Rzzz4", mid: "x.1290@partner.example", from: "wang@partner.example", subject: "Invoice 4711", state: "delivered", direction: "in", client: { name: "mx1.partner.example", ip: "198.51.100.7", tls: "TLSv1.3" },
    sentence: two("Put into the folder Invoices of li@mine.example.", "已投入 li@mine.example 的 Invoices 文件夹。"),
    recipients: [{ to: "li@mine.example", orig_to: "sales@mine.example", status: "sent", relay: "lmtp", folder: "Invoices" }],
    steps: (put) => {
      put("mx2.mine.example", 55, 0, "postfix/smtpd[77]", "received", "client=mx1.partner.example[198.51.100.7]", { client: "mx1.partner.example", client_ip: "198.51.100.7" });
      put("mx2.mine.example", 55, 0.4, "policyd-spf[80]", "policy", "prepend Received-SPF: Pass", { filter: "SPF", verdict: "pass" });
      put("mx2.mine.example", 55, 1, "postfix/lmtp[90]", "delivery", "to=<li@mine.example>, orig_to=<sales@mine.example>, relay=private/dovecot-lmtp, status=sent", { to: "li@mine.example", orig_to: "sales@mine.example", status: "sent", relay: "private/dovecot-lmtp", text: "250 2.0.0 saved" });
      put("mx2.mine.example", 55, 1.1, "dovecot[40]", "sieve", "sieve: msgid=<x.1290@partner.example>: stored mail into mailbox 'Invoices'", { user: "li@mine.example", action: "saved", folder: "Invoices" });
      put("mx2.mine.example", 55, 1.2, "postfix/qmgr[41]", "removed", "removed");
    },
  }),
  journey("j-reject", {
    queue: "", mid: "", from: "news@stranger.example", subject: undefined, state: "rejected", direction: "in", cause: "blocklist", owner: "sender-admin", client: { ip: "203.0.113.200", helo: "localhost" }, mark: "warning",
    sentence: two("Refused at our door: the client 203.0.113.200 is listed by zen.blocklist.example.", "在入口被拒收：客户端 203.0.113.200 在 zen.blocklist.example 的黑名单中。"),
    recipients: [{ to: "li@mine.example", status: "rejected", code: 554, dsn: "5.7.1", text: "554 5.7.1 Service unavailable; Client host [203.0.113.200] blocked using zen.blocklist.example" }],
    steps: (put) => put("mx2.mine.example", 70, 0, "postfix/smtpd[78]", "reject", "NOQUEUE: reject: RCPT from unknown[203.0.113.200]: 554 5.7.1 Service unavailable", { client: "unknown", client_ip: "203.0.113.200", from: "news@stranger.example", to: "li@mine.example", stage: "RCPT", code: 554, dsn: "5.7.1", text: "554 5.7.1 Service unavailable; Client host [203.0.113.200] blocked using zen.blocklist.example" }),
  }),
];

export function monitors() {
  return [
    { id: "mx1-smtp", kind: "server", title: two("SMTP at mx1", "mx1 的 SMTP"), target: "mx1.mine.example", args: { host: "mx1.mine.example" }, every_s: 300, fail_after: 5, clear_after: 2, armed: true, state: "ok", since: at(30000), last: { at: at(2), state: "ok", text: two("answers, TLS 1.3, 59 days left", "应答正常，TLS 1.3，证书剩余 59 天"), ms: 84 } },
    { id: "ptr", kind: "ip", title: two("Our sending address", "我方发信地址"), target: "192.0.2.25", args: { address: "192.0.2.25" }, every_s: 900, fail_after: 3, clear_after: 2, armed: true, state: "failing", since: at(140), last: { at: at(5), state: "failing", text: two("192.0.2.25 has no PTR record.", "192.0.2.25 没有反向解析（PTR）记录。"), ms: 41 } },
    { id: "mine", kind: "domain", title: "mine.example", target: "mine.example", args: { domain: "mine.example" }, every_s: 3600, fail_after: 2, clear_after: 2, armed: true, state: "ok", since: at(90000), last: { at: at(21), state: "ok", text: two("mail for mine.example is in order", "mine.example 的邮件配置正常"), ms: 912 } },
    { id: "lists", kind: "blocklist", title: two("Blocklists", "黑名单"), target: "192.0.2.25", args: { subjects: ["192.0.2.25"] }, every_s: 1800, armed: false, state: "unknown", since: at(60), last: { at: at(11), state: "unknown", text: two("zen.blocklist.example refuses our resolver", "zen.blocklist.example 拒绝我方解析器的查询"), ms: 5000 } },
    { id: "cert", kind: "tls", title: two("Certificate of mx2", "mx2 的证书"), target: "mx2.mine.example:25", args: { host: "mx2.mine.example", port: 25 }, every_s: 86400, armed: true, state: "failing", since: at(3000), muted: { reason: two("renewal ordered", "已申请续签"), until: at(-2880), by: "zhao" }, last: { at: at(300), state: "failing", text: two("ends in 6 days", "6 天后到期"), ms: 61 } },
    { id: "queue", kind: "queue", title: two("Queue of mx1", "mx1 的队列"), target: "mx1.mine.example", args: {}, every_s: 60, armed: true, state: "ok", since: at(4000), last: { at: at(0), state: "ok", text: two("164 messages wait", "164 封邮件等待中"), value: 164 } },
  ];
}

export function samples(m, sinceIso) {
  const r = dice(m.id.length * 31);
  const n = 96;
  const span = Date.now() - new Date(sinceIso ?? at(1440)).getTime();
  return Array.from({ length: n }, (_, i) => {
    const bad = m.state === "failing" && i > n - 12;
    const blind = m.state === "unknown" && i > n - 5;
    return { at: new Date(Date.now() - span + (span * (i + 1)) / n).toISOString(), state: bad ? "failing" : blind ? "unknown" : "ok", ms: Math.round((blind ? 5000 : 60) + 60 * r() + (i === 40 ? 240 : 0)), text: bad ? m.last.text : "" };
  });
}

export const incidents = () => [
  { id: "i1", monitor: "ptr", title: two("Our sending address", "我方发信地址"), started: at(140), text: two("192.0.2.25 has no PTR record.", "192.0.2.25 没有反向解析（PTR）记录。"), owner: "network", next: "mailwhy ip 192.0.2.25" },
  { id: "i0", monitor: "mx1-smtp", title: two("SMTP at mx1", "mx1 的 SMTP"), started: at(31000), ended: at(30900), text: two("no answer on port 25", "25 端口无应答") },
];

export const proposals = () => [
  {
    id: "p1", title: two("Lower the TTL of mine.example MX", "降低 mine.example MX 的 TTL"), text: two("mx2 has not answered for 5 runs; a lower TTL lets a change take effect sooner.", "mx2 连续 5 次无应答；降低 TTL 可让后续变更更快生效。"), monitor: "mine", at: at(12),
    steps: [{ kind: "dns-replace", target: "mine.example MX", old: "86400 10 mx2.mine.example.", new: "300 10 mx2.mine.example." }],
    evidence: [{ source: "monitor", place: "mx2.mine.example:25", raw: "connect: timeout after 10 s" }], hash: "9b1f0c7d2e6a4411aa02", state: "open", hands: "people", until: at(-600),
  },
];

// A way with a silent hop, one that limits its own answers, loss to the end, and a port that is shut there.
export const way = () => ({
  kind: "path", unit: "ms", labels: ["192.0.2.1", "*", "198.51.100.3", "198.51.100.4", "203.0.113.9"],
  series: [{ name: two("round trip", "往返用时"), values: [0.4, -1, 9.1, 12.7, 31.4] }, { name: two("lost, %", "丢包，%"), values: [0, -1, 80, 0, 30] }, { name: two("TCP 25 comes so far", "TCP 25 可达"), values: [1, 1, 1, 1, 0] }],
});

export function dmarc() {
  const r = dice(3);
  const days = Array.from({ length: 30 }, (_, i) => ({ day: new Date(Date.now() - (29 - i) * 86400e3).toISOString().slice(0, 10), pass: Math.round(3600 + 900 * r()), fail: Math.round(40 + 90 * r()) }));
  return {
    domains: [{ domain: "mine.example", messages: 121003, pass: 119220, fail: 1783 }, { domain: "shop.mine.example", messages: 9120, pass: 8011, fail: 1109 }],
    days,
    sources: [
      { ip: "192.0.2.25", name: "mail.mine.example", network: "AS64500 Mine", messages: 98121, spf: 98121, dkim: 98002, disposition: "none" },
      { ip: "198.51.100.90", name: "out.newsletter.example", network: "AS64501 Newsletter", messages: 20110, spf: 0, dkim: 20110, disposition: "none" },
      { ip: "203.0.113.61", network: "AS64510 Stranger", messages: 1320, spf: 0, dkim: 0, disposition: "quarantine" },
      { ip: "2001:db8:41::9", name: "fwd.university.example", network: "AS64511 University", messages: 452, spf: 0, dkim: 431, disposition: "none" },
    ],
    reporters: [{ name: "bigmail.example", reports: 30 }, { name: "partner.example", reports: 28 }, { name: "university.example", reports: 11 }],
  };
}

export const tlsReports = () => {
  const r = dice(9);
  return {
    domains: [{ domain: "mine.example", success: 40122, failure: 31 }],
    days: Array.from({ length: 30 }, (_, i) => ({ day: new Date(Date.now() - (29 - i) * 86400e3).toISOString().slice(0, 10), success: Math.round(1200 + 300 * r()), failure: i > 25 ? Math.round(10 * r()) : 0 })),
    failures: [{ type: "certificate-expired", mx: "mx2.mine.example", sender: "bigmail.example", count: 29 }, { type: "starttls-not-supported", mx: "mx1.mine.example", sender: "partner.example", count: 2 }],
  };
};

const f = (name, en, zh, more = {}) => ({ name, label: two(en, zh), type: "text", ...more });
const kind = (k, group, en, zh, aen, azh, fields) => ({ kind: k, group, title: two(en, zh), about: two(aen, azh), fields });
export const catalogue = {
  runs: [
    kind("check", "domain", "A domain's mail", "域名的邮件配置", "Everything about the mail of a domain: MX, SPF, DKIM, DMARC, TLS, blocklists.", "域名邮件的一切：MX、SPF、DKIM、DMARC、TLS、黑名单。", [f("domain", "Domain", "域名", { required: true, placeholder: "mine.example" }), f("dns_only", "DNS only", "仅检查 DNS", { type: "bool" }), f("selectors", "DKIM selectors", "DKIM 选择器", { type: "list" })]),
    kind("spf", "domain", "SPF", "SPF", "The SPF record, and whether a server may send.", "SPF 记录，以及某台服务器能否发信。", [f("domain", "Domain", "域名", { required: true }), f("ip", "Address of the server", "服务器地址")]),
    kind("deliver", "address", "Deliver to an address", "投递到某地址", "Why mail does or does not reach an address. Nothing is sent.", "邮件能否到达某地址，以及原因。不会发出邮件。", [f("to", "Recipient", "收件人", { required: true, placeholder: "wang@partner.example" }), f("from", "Sender", "发件人")]),
    kind("ip", "server", "A sending address", "发信 IP", "Reverse name, network, blocklists.", "反向解析、所属网络、黑名单。", [f("address", "IP address", "IP 地址", { required: true, placeholder: "192.0.2.25" })]),
    kind("tls", "server", "TLS of a port", "端口的 TLS", "Certificate, versions, cipher suites.", "证书、版本、加密套件。", [f("host", "Host", "主机", { required: true }), f("port", "Port", "端口", { type: "number", default: 25 }), f("starttls", "Protocol", "协议", { type: "choice", choices: [{ value: "smtp", label: "SMTP" }, { value: "imap", label: "IMAP" }] })]),
    kind("bounce", "message", "A bounce", "退信", "Who refused, why, whose job it is.", "谁拒收、原因、由谁处理。", [f("text", "The bounce, with its header", "退信全文（含邮件头）", { type: "textarea", required: true })]),
    kind("explain", "message", "A reply or a code", "应答或代码", "What an SMTP reply means.", "SMTP 应答的含义。", [f("text", "Reply", "应答", { required: true, placeholder: "550 5.1.1 …" })]),
  ],
  monitors: [
    kind("domain", "", "A domain", "域名", "Everything about the mail of a domain.", "域名邮件的一切。", [f("domain", "Domain", "域名", { required: true })]),
    kind("ip", "", "A sending address", "发信 IP", "Reverse name and blocklists.", "反向解析与黑名单。", [f("address", "IP address", "IP 地址", { required: true })]),
    kind("server", "", "A server", "服务器", "Its ports, TLS and answers.", "端口、TLS 与应答。", [f("host", "Host", "主机", { required: true })]),
  ],
  channels: [],
};

export const audit = () => [
  { at: at(1), who: "li", what: "login" },
  { at: at(3), who: "li", what: "run.deliver", target: "wang@partner.example" },
  { at: at(8), who: "zhao", what: "see.raw", target: "j-strict" },
  { at: at(60), who: "zhao", what: "monitor.mute", target: "cert" },
];

export const blocks = () => [
  { id: "b1", what: "203.0.113.200/32", state: "active", reason: "password guessing", by: "zhao", at: at(3000), until: at(-9000), decided_by: "li" },
  { id: "b2", what: "198.51.100.64/28", state: "proposed", reason: "spam to spamtraps", by: "mailwhy", rule: "logs.spray", at: at(20), until: at(-9000), evidence: ["412 different recipients in one hour, 398 unknown"] },
  { id: "b3", what: "stranger.example", state: "expired", reason: "newsletter nobody asked for", by: "li", at: at(90000), until: at(6000), decided_by: "li" },
];

export const channels = () => [
  { id: "admins", kind: "mail", title: two("Mail", "邮件"), severity: "warning", server: "mail.mine.example:587", from: "mailwhy@mine.example", to: ["li@mine.example"], secrets: ["password"], editable: false },
  { id: "night", kind: "slack", title: "Slack", severity: "error", monitors: ["domain-*"], secrets: ["hook"], editable: true },
];
export const plans = () => [
  { cron: "0 2 * * 0", for_s: 7200, zone: "Europe/Berlin", reason: two("weekly updates", "每周更新"), open: false, over: false, file: true },
  { id: "p1", monitors: ["ptr"], reason: two("new provider", "更换服务商"), from: at(60), to: at(-120), by: "li", open: true, over: false, file: false },
];
export const channelKinds = () => [
  { kind: "mail", title: two("Mail", "邮件"), fields: [{ name: "server", label: two("Mail server", "邮件服务器"), type: "text", required: true, placeholder: "mail.mine.example:587" }, { name: "from", label: two("From", "发件人"), type: "text", required: true }, { name: "to", label: two("To", "收件人"), type: "list", required: true }, { name: "password", label: two("Password", "密码"), type: "secret", required: false }] },
  { kind: "slack", title: "Slack", fields: [{ name: "hook", label: two("Address the chat gave out (it is a secret)", "聊天工具给出的地址（属于机密）"), type: "secret", required: true }] },
];
