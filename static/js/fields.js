import { gettext, interpolate } from "./words.js";

// A field that was wrong is no longer marked once it is filled in anew: the answer of the server says whether it is right.
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute?.("aria-invalid") !== "true") return;
  target.setAttribute("aria-invalid", "false");
  for (const line of target.closest(".field")?.querySelectorAll(".field-error") ?? []) line.hidden = true;
});

// A browser cuts what is longer than the maximum without a word: say that nothing more fits.
document.addEventListener("input", ({ target }) => {
  const field = target.closest?.(".field");
  if (!field || !(target.maxLength > 0)) return;
  let line = field.querySelector("[data-maximum]");
  if (!line) {
    line = Object.assign(document.createElement("p"), { className: "field-hint", role: "status" });
    line.dataset.maximum = "";
    field.append(line);
  }
  const isFull = target.value.length >= target.maxLength;
  line.textContent = isFull ? interpolate(gettext("Maximum reached: {count} characters."), { count: target.maxLength }) : "";
});
