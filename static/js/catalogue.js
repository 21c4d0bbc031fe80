// The list of styles: it narrows while one types (htmx), and a card that was selected says so, with Undo.
import { show } from "./toast.js";

document.addEventListener("htmx:after:swap", () => {
  for (const card of document.querySelectorAll("[data-said]")) {
    show(card.dataset.said, "success", card.dataset.undo);
    card.removeAttribute("data-said");
  }
});
