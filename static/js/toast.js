// Toasts: the server's messages, and `toast` events ({message, level}) such as an HX-Trigger header sends.
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

export function show(message, level = "success") {
  const toast = pattern.content.firstElementChild.cloneNode(true);
  toast.dataset.level = level;
  toast.querySelector("p").textContent = message;
  list.append(toast);
  expire(toast);
}

document.addEventListener("toast", (event) => show(event.detail.message ?? event.detail.value, event.detail.level));
document.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast")?.remove());
for (const toast of list.children) expire(toast);
