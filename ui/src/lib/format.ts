// Values as people read them: in their language and their time zone, with units.
import { locale, t } from "./i18n.svelte";

export const number = (n: number | undefined): string => (n === undefined ? "" : new Intl.NumberFormat(locale()).format(n));

export const share = (part: number): string =>
  new Intl.NumberFormat(locale(), { style: "percent", minimumFractionDigits: part < 1 && part > 0.9 ? 1 : 0, maximumFractionDigits: 1 }).format(part);

function valid(at: string | undefined): Date | undefined {
  if (!at || at.startsWith("0001-")) return undefined;
  const d = new Date(at);
  return Number.isNaN(d.getTime()) ? undefined : d;
}

// clock is the time of day, with the date where it is not today.
export function clock(at: string | undefined, seconds = false): string {
  const d = valid(at);
  if (!d) return "";
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) time.second = "2-digit";
  const today = new Date();
  if (d.toDateString() === today.toDateString()) return new Intl.DateTimeFormat(locale(), time).format(d);
  const day: Intl.DateTimeFormatOptions = { month: "short", day: "numeric" };
  if (d.getFullYear() !== today.getFullYear()) day.year = "numeric";
  return `${new Intl.DateTimeFormat(locale(), day).format(d)} ${new Intl.DateTimeFormat(locale(), time).format(d)}`;
}

export function day(at: string | undefined): string {
  const d = valid(at);
  return d ? new Intl.DateTimeFormat(locale(), { month: "short", day: "numeric" }).format(d) : "";
}

// exact is the local time with its offset, for the title of a shorter one.
export function exact(at: string | undefined): string {
  const d = valid(at);
  if (!d) return "";
  const p = (n: number): string => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${p(d.getMonth() + 1)}-${p(d.getDate())} ${p(d.getHours())}:${p(d.getMinutes())}:${p(d.getSeconds())} ${offset(d)}`;
}

// local puts times that stand in a sentence of the server ("2026-11-22 13:18:28 +0000") into the reader's zone; in a list,
// where the day stands beside, the time of day is enough.
export const local = (text: string | undefined, short = false): string =>
  (text ?? "").replace(/\b(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) ([+-]\d\d)(\d\d)\b/g, (whole, date: string, time: string, h: string, m: string) => {
    const at = `${date}T${time}${h}:${m}`;
    return (short ? clock(at, true) : exact(at)) || whole;
  });

function offset(d: Date): string {
  const m = -d.getTimezoneOffset();
  const a = Math.abs(m);
  return `${m < 0 ? "-" : "+"}${String(Math.floor(a / 60)).padStart(2, "0")}${String(a % 60).padStart(2, "0")}`;
}

export const zone = (): string => `${Intl.DateTimeFormat().resolvedOptions().timeZone} (${offset(new Date())})`;

// span is a duration in the largest unit that leaves something to say.
export function span(ms: number | undefined): string {
  if (ms === undefined || Number.isNaN(ms)) return "";
  const n = (v: number, digits = 0): string => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(v);
  if (ms < 1) return t("span.us", { n: n(ms * 1000) });
  if (ms < 1000) return t("span.ms", { n: n(ms) });
  const s = ms / 1000;
  if (s < 10) return t("span.s", { n: n(s, 1) });
  if (s < 120) return t("span.s", { n: n(s) });
  if (s < 7200) return t("span.min", { n: n(s / 60) });
  if (s < 172800) return t("span.h", { n: n(s / 3600, s < 36000 ? 1 : 0) });
  return t("span.d", { n: n(s / 86400) });
}

export function ago(at: string | undefined): string {
  const d = valid(at);
  return d ? span(Math.max(0, Date.now() - d.getTime())) : "";
}

export function size(bytes: number | undefined): string {
  if (bytes === undefined) return "";
  const n = (v: number): string => new Intl.NumberFormat(locale(), { maximumFractionDigits: 1 }).format(v);
  if (bytes < 1000) return `${n(bytes)} B`;
  if (bytes < 1e6) return `${n(bytes / 1e3)} kB`;
  if (bytes < 1e9) return `${n(bytes / 1e6)} MB`;
  return `${n(bytes / 1e9)} GB`;
}

// sender shows an envelope sender: the empty one is written <>.
export const sender = (from: string | null | undefined): string => (from === "" ? "<>" : (from ?? "–"));

// sinceOf turns a range as it stands in an address ("24h", "7d") into a time.
export function sinceOf(range: string): string | undefined {
  const m = /^(\d+)([hd])$/.exec(range);
  if (!m) return undefined;
  const ms = Number(m[1]) * (m[2] === "d" ? 86400e3 : 3600e3);
  // To the minute: requests of one page agree, and may be answered from one look.
  return new Date(Math.floor((Date.now() - ms) / 60000) * 60000).toISOString().replace(".000Z", "Z");
}
