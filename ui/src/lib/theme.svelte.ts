// Light, dark, or what the system says.
export type Theme = "auto" | "light" | "dark";

function kept(): Theme {
  const t = document.documentElement.dataset["theme"];
  return t === "light" || t === "dark" ? t : "auto";
}

let chosen: Theme = $state(kept());
let turns = $state(0); // changes when the colours do, for what is painted and not styled

export const theme = (): Theme => chosen;
export const colours = (): number => turns;

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => turns++);

export function setTheme(t: Theme): void {
  chosen = t;
  if (t === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = t;
  try {
    if (t === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", t);
  } catch {
    // storage forbidden: the choice lasts until the page is closed
  }
  turns++;
}
