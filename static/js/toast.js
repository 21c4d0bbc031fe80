// Toasts: the server's messages, and `toast` events ({message, level}) such as an HX-Trigger header sends.
import { gettext, withCode } from "./words.js";
const STAY_MS = 6000;
const list = document.querySelector("[data-toasts]");
const pattern = document.querySelector("template[data-toast-pattern]");

function expire(toast) {
  if (toast.dataset.level === "error") return; // an error stays until it is read
  let timer = setTimeout(() => toast.remove(), STAY_MS);
  const hold = () => clearTimeout(timer);
  const release = () => { hold(); timer = setTimeout(() => toast.remove(), STAY_MS); };
  toast.addEventListener("pointerenter", hold);
  toast.addEventListener("focusin", hold);
  toast.addEventListener("pointerleave", release);
  toast.addEventListener("focusout", release);
}

// With `undo`, the id of a button of the page, the toast offers to press it.
export function show(message, level = "success", undo = "") {
  const toast = /** @type {HTMLElement} */ (pattern.content.firstElementChild.cloneNode(true));
  toast.dataset.level = level;
  toast.querySelector("p").replaceChildren(...withCode(message));
  if (undo) toast.querySelector("p").after(undoButton(undo, toast));
  list.append(toast);
  expire(toast);
}

function undoButton(id, toast) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "toast-undo";
  button.textContent = gettext("Undo");
  button.addEventListener("click", () => { toast.remove(); document.getElementById(id)?.click(); });
  return button;
}

document.addEventListener("toast", (event) => show(event.detail.message ?? event.detail.value, event.detail.level));
document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast")?.remove());
for (const toast of list.children) expire(toast);
