// The API reference: a filter of its index, the operation that is read, one language for every sample.
import { gettext, interpolate } from "./words.js";

const KEPT = "sample-language";

for (const root of document.querySelectorAll("[data-filter]")) {
  const field = root.querySelector("[data-filter-field]");
  const status = root.querySelector("[data-filter-status]");
  const groups = [...root.querySelectorAll("[data-filter-group]")];
  const opened = new Set(groups.filter((group) => group.open));
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const group of groups) {
      let shown = 0;
      for (const item of group.querySelectorAll("[data-filter-item]")) {
        const text = `${item.textContent} ${item.dataset.filterText ?? ""}`.toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
        shown += item.hidden ? 0 : 1;
      }
      group.hidden = !shown;
      group.open = words.length ? shown > 0 : opened.has(group);
      count += shown;
    }
    status.textContent = words.length ? interpolate(gettext("Matching operations: {count}"), { count }) : "";
  });
}

// The last heading above the upper third of the window is the one that is read.
const links = new Map();
for (const link of document.querySelectorAll(".api-nav a[href^='#']")) links.set(link.hash.slice(1), link);
const operations = [...document.querySelectorAll("[data-operation]")];
function mark() {
  const line = innerHeight / 3;
  const read = operations.findLast((operation) => operation.getBoundingClientRect().top < line);
  for (const [id, link] of links) {
    if (id === read?.id) link.setAttribute("aria-current", "location");
    else link.removeAttribute("aria-current");
  }
}
let waits = false;
addEventListener("scroll", () => {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    mark();
  });
}, { passive: true });
mark();

// A language that is picked once is picked in every sample, here and on the next page.
let isFollowing = false;
function follow(language) {
  isFollowing = true;
  for (const tab of document.querySelectorAll(`[data-language="${CSS.escape(language)}"]`)) tab.click();
  isFollowing = false;
}
document.addEventListener("click", (event) => {
  const tab = event.target.closest("[data-language]");
  if (!tab || isFollowing) return;
  const before = tab.getBoundingClientRect().top;
  follow(tab.dataset.language);
  scrollBy(0, tab.getBoundingClientRect().top - before); // samples above may be longer now
  try { localStorage.setItem(KEPT, tab.dataset.language); } catch { /* private mode: it lasts for this page */ }
});
try {
  const kept = localStorage.getItem(KEPT);
  if (kept) follow(kept);
} catch { /* private mode */ }
