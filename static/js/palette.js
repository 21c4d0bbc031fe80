// The search over everything: Ctrl/⌘ K or / opens it, the arrow keys walk through what it finds.
const palette = document.getElementById("palette");
const field = palette?.querySelector("input");

export function openPalette() {
  if (!palette || palette.open) return;
  palette.showModal();
  field.select();
  field.dispatchEvent(new Event("palette-opened"));
}

function walk(step) {
  const links = [...palette.querySelectorAll(".palette-list a")];
  const next = links.findIndex((link) => link === document.activeElement) + step;
  (links[next] ?? field).focus();
}

palette?.addEventListener("keydown", (event) => {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  walk(steps[event.key]);
});

// Enter opens the first result; without one, the form leads to the page of the search.
palette?.querySelector("form").addEventListener("submit", (event) => {
  const first = palette.querySelector(".palette-list a");
  if (!first) return;
  event.preventDefault();
  first.click();
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-palette]") || !palette) return;
  event.preventDefault();
  openPalette();
});
