// <button data-opens="dialog id">; in it, <input data-must-equal="name"> frees the dialog's submit button.
// A dialog begins on its harmless button, on the field that was wrong, or, with data-creates, on its first field:
// Enter alone must lose nothing.
function open(dialog) {
  if (!dialog) return;
  dialog.showModal();
  const first = dialog.matches("[data-creates]") ? "input:not([type=hidden])" : "[data-closes]";
  (dialog.querySelector("[aria-invalid=true]") ?? dialog.querySelector(first))?.focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) open(document.getElementById(opener.dataset.opens));
  if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
  if (event.target.matches("dialog") && outside(event)) event.target.closest("dialog").close();
});

function outside(event) {
  const box = event.target.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function guard(input) {
  const button = input.form.querySelector("[type=submit]");
  button.disabled = input.value.trim() !== input.dataset.mustEqual;
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-must-equal]")) guard(event.target);
});
for (const input of document.querySelectorAll("[data-must-equal]")) guard(input);
// A link from elsewhere names the dialog that it leads to.
const linked = location.hash && document.getElementById(location.hash.slice(1));
open(document.querySelector("dialog[data-open-now]") ?? (linked instanceof HTMLDialogElement ? linked : null));
