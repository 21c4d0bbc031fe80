// Keyboard: Ctrl/⌘ K or `/` searches, `g` then a letter goes to the link that carries data-go="<letter>", `?` lists
// all. Those of a single key can be turned off in that list: people who speak to a computer would trigger them.
import { openPalette } from "./palette.js";

const PAUSE_MS = 1200;
const KEPT = "shortcuts";
const box = document.querySelector("[data-shortcuts]");
let areOn = read();
let goUntil = 0;

function read() {
  try { return localStorage.getItem(KEPT) !== "off"; } catch { return true; }
}

if (box) box.checked = areOn;
box?.addEventListener("change", () => {
  areOn = box.checked;
  try { localStorage.setItem(KEPT, areOn ? "on" : "off"); } catch { /* private mode: the choice lasts for this page */ }
});

const typing = (element) =>
  element.isContentEditable || element.matches("input, textarea, select, [role=tab]");

document.addEventListener("keydown", (event) => {
  if (event.isComposing || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && event.key === "k" && document.getElementById("palette")) {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey) return;
  if (!areOn || typing(event.target) || document.querySelector("dialog[open]")) return;

  if (event.key === "/") {
    event.preventDefault();
    openPalette();
  } else if (event.key === "?") {
    document.getElementById("shortcuts")?.showModal();
  } else if (performance.now() < goUntil) {
    goUntil = 0;
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    goUntil = performance.now() + PAUSE_MS;
  }
});
