// Keyboard: `/` searches, `g` then a letter goes to the link that carries data-go="<letter>". The account menu
// turns both off: who speaks to a computer, or leans on a key, would go where they never meant to.
const PAUSE_MS = 1200;
const KEPT = "shortcuts";
const hint = document.querySelector(".foot-keys");
const box = document.querySelector("[data-shortcuts]");
let areOn = read();
let goUntil = 0;

function read() {
  try { return localStorage.getItem(KEPT) !== "off"; } catch { return true; }
}

function show() {
  if (hint) hint.hidden = !areOn;
  if (box) box.checked = areOn;
}

show();
box?.addEventListener("change", () => {
  areOn = box.checked;
  try { localStorage.setItem(KEPT, areOn ? "on" : "off"); } catch { /* private mode: the choice lasts for this page */ }
  show();
});

const typing = (element) =>
  element.isContentEditable || element.matches("input, textarea, select, [role=tab]");

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target.matches("[data-search-field]")) {
    event.target.value = "";
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
    event.target.blur();
    return;
  }
  if (!areOn || typing(event.target) || document.querySelector("dialog[open]")) return;

  if (event.key === "/") {
    const field = document.querySelector("[data-search-field]");
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.select();
  } else if (performance.now() < goUntil) {
    goUntil = 0;
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "g") {
    goUntil = performance.now() + PAUSE_MS;
  }
});
