import { gettext, interpolate, size } from "./words.js";

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
  const line = field.querySelector("[data-maximum]") ?? addLine(field, { name: "maximum", className: "field-hint", role: "status" });
  const isFull = input.value.length >= input.maxLength;
  line.textContent = isFull ? interpolate(gettext("Maximum reached: {count} characters."), { count: input.maxLength }) : "";
});

// What is larger than the server takes is said before it is sent, so that nothing that was filled in is lost.
document.addEventListener("change", ({ target }) => { if (target.dataset?.maxBytes) fits(target); });
document.addEventListener("submit", (event) => {
  const large = [...event.target.querySelectorAll("[data-max-bytes]")].filter((input) => !fits(input));
  if (!large.length) return;
  event.preventDefault();
  large[0].focus();
});

function fits(input) {
  const parts = input.files ? [...input.files] : [input.value];
  const bytes = new Blob(parts).size;
  const limit = Number(input.dataset.maxBytes);
  const field = input.closest(".field");
  const line = field.querySelector("[data-too-large]") ?? addLine(field, { name: "tooLarge", className: "field-error", role: "alert" });
  line.hidden = bytes <= limit;
  if (line.hidden) return true;
  const sentence = input.files
    ? gettext("This file is {size}, and the limit is {limit}. Save it without pictures, or divide it.")
    : gettext("This text is {size}, and the limit is {limit}. Add it in parts, or as a file.");
  line.textContent = interpolate(sentence, { size: size(bytes), limit: size(limit) });
  input.setAttribute("aria-invalid", "true");
  return false;
}

function addLine(field, { name, className, role }) {
  const line = document.createElement("p");
  line.className = className;
  line.role = role;
  line.dataset[name] = "";
  field.append(line);
  return line;
}
