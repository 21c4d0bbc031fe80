// Keyboard: `/` searches, `g` then a letter goes to the link that carries data-go="<letter>".
const PAUSE_MS = 1200;
let goUntil = 0;

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
  if (typing(event.target) || document.querySelector("dialog[open]")) return;

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
