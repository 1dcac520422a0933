// Runs before the first paint, so that a chosen theme does not flash.
try {
  var chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch (e) {
  // Storage may be forbidden: then the system's theme stands.
}
