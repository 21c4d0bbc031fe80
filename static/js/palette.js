// The search over everything: Ctrl/⌘ K or / opens it, the arrow keys walk through what it finds.
const palette = document.getElementById("palette");
const field = palette?.querySelector("input");
const RESULT = ".palette-list a, .palette-list button";

export function openPalette() {
  if (!palette || palette.open) return;
  palette.showModal();
  field.select();
  // htmx processes the page a tick after it has loaded. Opened before that, the dialog would stay empty.
  globalThis.htmx.process(palette);
  field.dispatchEvent(new Event("palette-opened"));
}

function walk(step) {
  const links = [...palette.querySelectorAll(RESULT)];
  const next = links.findIndex((link) => link === document.activeElement) + step;
  (links[next] ?? field).focus();
}

palette?.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.preventDefault(); // a search field would only be emptied by the first one
    palette.close();
    return;
  }
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  walk(steps[event.key]);
});

// Enter opens the first result; without one, the form leads to the page of the search.
palette?.querySelector("form").addEventListener("submit", (event) => {
  const first = palette.querySelector(RESULT);
  if (!first) return;
  event.preventDefault();
  first.click();
});

palette?.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-choice]")) palette.close();
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-palette]") || !palette) return;
  event.preventDefault();
  openPalette();
});
