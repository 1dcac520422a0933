// A day of Postfix logs for the tests, made here: two hosts, most mail delivered, some waiting, one refused for good.
import { dice } from "../mock/data.mjs";

export function mailLog(now = Date.now()) {
  const lines = [];
  const roll = dice(11);
  const put = (at, host, program, text) => lines.push([at, `${new Date(at).toISOString().replace("Z", "000+00:00")} ${host} ${program}: ${text}`]);
  // A long queue id: ten digits of time, a z, the inode; no vowels.
  const id = (n) => "4Zk" + [...String(n).padStart(7, "0")].map((d) => "BCDFGHJKLM"[d]).join("") + "z1Q2";
  // out writes the way of one message from the submission to its fate.
  const out = (n, at, from, to, subject, fates) => {
    const q = id(n);
    put(at, "mx1", "postfix/submission/smtpd[2113]", `${q}: client=pc17.mine.example[192.0.2.117], sasl_method=PLAIN, sasl_username=${from}`);
    put(at + 40, "mx1", "postfix/cleanup[2117]", `${q}: message-id=<${n}.${q.toLowerCase()}@mine.example>`);
    put(at + 45, "mx1", "postfix/cleanup[2117]", `${q}: info: header Subject: ${subject} from pc17.mine.example[192.0.2.117]; from=<${from}> to=<${to}> proto=ESMTP helo=<pc17>`);
    put(at + 60, "mx1", "postfix/qmgr[990]", `${q}: from=<${from}>, size=${4000 + Math.round(20000 * roll())}, nrcpt=1 (queue active)`);
    for (const [wait, relay, ip, dsn, status, said] of fates) {
      at += wait * 1000;
      put(at, "mx1", "postfix/smtp[2120]", `${q}: to=<${to}>, relay=${relay}[${ip}]:25, delay=${wait}, delays=0.1/0.01/0.2/${wait}, dsn=${dsn}, status=${status} (${said})`);
    }
    const last = fates.at(-1)[4];
    if (last === "bounced") put(at + 20, "mx1", "postfix/bounce[2130]", `${q}: sender non-delivery notification: ${id(n + 900000)}`);
    if (last !== "deferred") put(at + 30, "mx1", "postfix/qmgr[990]", `${q}: removed`);
  };
  const fine = (to) => [2, `mx1.${to.split("@")[1]}`, "203.0.113.9", "2.0.0", "sent", "250 2.0.0 Ok: queued as 99F1"];
  for (let n = 1; n <= 400; n++) {
    const at = now - Math.round((24 - 23.9 * (n / 400)) * 3600e3) - 60e3;
    const to = ["chen@customer.example", "office@university.example", "info@partner.example", "orders@shop.example"][n % 4];
    if (n % 23 === 0) out(n, at, "zhao@mine.example", to, "Seminar room", [[3, "mx.university.example", "203.0.113.40", "4.7.1", "deferred", "host mx.university.example[203.0.113.40] said: 451 4.7.1 Greylisted, please try again in 300 seconds (in reply to RCPT TO command)"]]);
    else if (n % 57 === 0) out(n, at, "li@mine.example", "nobody@customer.example", "Offer", [[2, "mx1.customer.example", "203.0.113.9", "5.1.1", "bounced", "host mx1.customer.example[203.0.113.9] said: 550 5.1.1 <nobody@customer.example>: Recipient address rejected: User unknown (in reply to RCPT TO command)"]]);
    else out(n, at, "li@mine.example", to, "Offer", [fine(to)]);
  }
  const refused = "said: 450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.25] (in reply to RCPT TO command)";
  out(5000, now - 2 * 3600e3, "li@mine.example", "wang@partner.example", "Quarterly figures", [
    [4, "mx1.partner.example", "198.51.100.7", "4.7.25", "deferred", `host mx1.partner.example[198.51.100.7] ${refused}`],
    [1980, "mx2.partner.example", "198.51.100.8", "4.3.2", "deferred", "host mx2.partner.example[198.51.100.8] said: 421 4.3.2 too many connections"],
    [3900, "mx1.partner.example", "198.51.100.7", "5.7.25", "bounced", `host mx1.partner.example[198.51.100.7] ${refused.replace("450 4", "550 5")}`],
  ]);
  for (let n = 0; n < 30; n++) {
    const at = now - Math.round((23 - n * 0.7) * 3600e3);
    put(at, "mx2", "postfix/smtpd[78]", `NOQUEUE: reject: RCPT from unknown[203.0.113.200]: 554 5.7.1 Service unavailable; Client host [203.0.113.200] blocked using zen.blocklist.example; from=<news@stranger.example> to=<li@mine.example> proto=SMTP helo=<localhost>`);
  }
  // One that came in, was put into its mailbox through a socket, and a client that said nothing.
  const came = now - 3600e3;
  put(came, "mx2", "postfix/smtpd[79]", `${id(7000)}: client=mail.answers.example[198.51.100.9]`);
  put(came + 20, "mx2", "postfix/cleanup[80]", `${id(7000)}: message-id=<answer@answers.example>`);
  put(came + 30, "mx2", "postfix/qmgr[81]", `${id(7000)}: from=<office@answers.example>, size=2300, nrcpt=1 (queue active)`);
  put(came + 300, "mx2", "postfix/lmtp[82]", `${id(7000)}: to=<zhao@mine.example>, relay=mx2.mine.example[private/dovecot-lmtp], delay=0.3, delays=0.1/0/0/0.2, dsn=2.0.0, status=sent (250 2.0.0 <zhao@mine.example> Saved)`);
  put(came + 320, "mx2", "postfix/qmgr[81]", `${id(7000)}: removed`);
  put(came + 9000, "mx2", "postfix/smtpd[79]", "connect from quiet.stranger.example[203.0.113.77]");
  put(came + 9500, "mx2", "postfix/smtpd[79]", "disconnect from quiet.stranger.example[203.0.113.77] ehlo=1 quit=1 commands=2");
  hostile(now, put, id);
  return lines.sort((a, b) => a[0] - b[0]).map(([, l]) => l).join("\n") + "\n";
}

// Words that would be a script, a tag or an attribute where somebody pasted them into a page.
export const scripts = [`<script>window.hacked=1</script>`, `<img src=x onerror=window.hacked=1>`, `"><svg onload=window.hacked=1>`, `javascript:window.hacked=1`, `{{constructor.constructor("window.hacked=1")()}}`];

// hostile writes what strangers may put into a log: their names, subjects, addresses and replies are their own choice.
function hostile(now, put, id) {
  scripts.forEach((x, n) => {
    const at = now - (200 - n) * 60e3;
    const q = id(8000 + n);
    put(at, "mx1", "postfix/smtpd[90]", `${q}: client=${x.replaceAll(/[ \[\]]/g, "")}[203.0.113.${100 + n}]`);
    put(at + 10, "mx1", "postfix/cleanup[91]", `${q}: message-id=<${n}${x.replaceAll(/[<> ]/g, "")}@stranger.example>`);
    put(at + 20, "mx1", "postfix/cleanup[91]", `${q}: info: header Subject: hostile ${x} from stranger.example[203.0.113.100]; from=<a@stranger.example> to=<li@mine.example> proto=ESMTP helo=<${x}>`);
    put(at + 30, "mx1", "postfix/qmgr[92]", `${q}: from=<"${x.replaceAll(/[<>]/g, "")}"@stranger.example>, size=10, nrcpt=1 (queue active)`);
    put(at + 900, "mx1", "postfix/smtp[93]", `${q}: to=<"${x.replaceAll(/[<>]/g, "")}"@hostile.example>, relay=${x.replaceAll(/[ \[\],]/g, "")}[203.0.113.120]:25, delay=1, delays=0/0/0/1, dsn=5.0.0, status=bounced (host ${x.replaceAll(/[ \[\]]/g, "")}[203.0.113.120] said: 550 ${x} (in reply to RCPT TO command))`);
    put(at + 910, "mx1", "postfix/qmgr[92]", `${q}: removed`);
    put(at + 2000, "mx2", "postfix/smtpd[94]", `NOQUEUE: reject: RCPT from unknown[203.0.113.${100 + n}]: 554 5.7.1 ${x}; from=<x@stranger.example> to=<li@mine.example> proto=SMTP helo=<${x}>`);
    put(at + 3000, `h${n}${x.replaceAll(/[^a-z<>=]/g, "")}`, "postfix/smtpd[95]", `warning: ${x}`);
  });
}
