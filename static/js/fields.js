// A field that was wrong is no longer marked once it is filled in anew: the answer of the server says whether it is right.
document.addEventListener("input", ({ target }) => {
  if (target.getAttribute?.("aria-invalid") !== "true") return;
  target.setAttribute("aria-invalid", "false");
  for (const line of target.closest(".field")?.querySelectorAll(".field-error") ?? []) line.hidden = true;
});
