// Two catalogues, one function. A text may hold {name}, and {name|one|many} for the plural of a count.
import en from "../i18n/en.json";

export type Key = keyof typeof en;
export type Lang = "en" | "zh";

let catalogue: Record<string, string> = $state.raw(en);
let current: Lang = $state("en");

export const lang = (): Lang => current;
export const locale = (): string => (current === "zh" ? "zh-CN" : "en-GB");

export async function speak(want: Lang): Promise<void> {
  catalogue = want === "zh" ? (await import("../i18n/zh.json")).default : en;
  current = want;
  document.documentElement.lang = want === "zh" ? "zh-CN" : "en";
}

export function t(key: Key, args?: Record<string, string | number>): string {
  return fill(catalogue[key] ?? en[key] ?? key, args);
}

// word says one of a family of words ("state.delivered"); a word the catalogue lacks stands for itself.
export function word(family: string, value: string | undefined): string {
  if (!value) return "";
  return catalogue[`${family}.${value}`] ?? value;
}

function fill(text: string, args?: Record<string, string | number>): string {
  if (!args) return text;
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name: string, one?: string, many?: string) => {
    const v = args[name];
    if (v === undefined) return whole;
    if (one !== undefined && many !== undefined) return v === 1 ? one : many;
    return typeof v === "number" ? new Intl.NumberFormat(locale()).format(v) : v;
  });
}

// preferred is what was chosen here before, else what the browser asks for.
export function preferred(): Lang {
  try {
    const kept = localStorage.getItem("lang");
    if (kept === "en" || kept === "zh") return kept;
  } catch {
    // storage forbidden
  }
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function keepLang(l: Lang): void {
  try {
    localStorage.setItem("lang", l);
  } catch {
    // storage forbidden: the choice lasts until the page is closed
  }
}
