// <button data-copy="id of the element whose text is copied">
import { gettext } from "./words.js";
const timers = new WeakMap(); // of buttons that say "Copied"

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("[data-copy-label]");
  const copied = await write(source.textContent.trim());
  if (!copied) select(source);
  label.textContent = copied ? gettext("Copied") : gettext("Press Ctrl+C");
  button.toggleAttribute("data-copied", copied);
  clearTimeout(timers.get(button));
  const timer = setTimeout(() => {
    label.textContent = gettext("Copy");
    button.removeAttribute("data-copied");
  }, 2500);
  timers.set(button, timer);
});

// The clipboard exists only on https and localhost, and a person may refuse it.
async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}
