import { gettext, interpolate } from "./words.js";

// A field that was wrong is no longer marked once it is filled in anew: the answer of the server says whether it is right.
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute?.("aria-invalid") !== "true") return;
  target.setAttribute("aria-invalid", "false");
  for (const line of target.closest(".field")?.querySelectorAll(".field-error") ?? []) line.hidden = true;
});

// A browser cuts what is longer than the maximum without a word: say that nothing more fits.
document.addEventListener("input", ({ target }) => {
  const input = target.closest?.("input, textarea");
  const field = input?.closest(".field");
  if (!field || input.maxLength <= 0) return;
  const line = field.querySelector("[data-maximum]") ?? addLine(field);
  const isFull = input.value.length >= input.maxLength;
  line.textContent = isFull ? interpolate(gettext("Maximum reached: {count} characters."), { count: input.maxLength }) : "";
});

function addLine(field) {
  const line = document.createElement("p");
  line.className = "field-hint";
  line.role = "status";
  line.dataset.maximum = "";
  field.append(line);
  return line;
}
