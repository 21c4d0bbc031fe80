// Names for what unfold's and Django's own scripts draw without one. A classic script: unfold loads no modules.
"use strict";

{
  const nameSelects = () => {
    for (const select of document.querySelectorAll("select.select2-hidden-accessible[id]")) {
      const label = document.querySelector(`label[for="${select.id}"]`);
      const box = select.parentElement.querySelector(".select2-selection");
      if (!label || !box) continue;
      label.id ||= `${select.id}-label`;
      const shown = box.querySelector(".select2-selection__rendered");
      box.setAttribute("aria-labelledby", `${label.id} ${shown?.id ?? ""}`.trim());
      shown?.setAttribute("aria-labelledby", label.id);
    }
    for (const icon of document.querySelectorAll(".help-tooltip[aria-label]")) icon.setAttribute("role", "img");
  };

  // Once the others have drawn: their scripts listen to the same events.
  addEventListener("load", () => setTimeout(nameSelects));
  document.addEventListener("formset:added", () => setTimeout(nameSelects));
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches(".select2-search__field")) target.setAttribute("aria-label", "Search");
  });
}
