// A request of htmx that failed says so in place: in the nearest [data-fault], inside or around the element.
// The next good answer swaps the element and so clears the line.
import { gettext, interpolate } from "./words.js";
const SENTENCES = {
  403: gettext("This page is too old to act on. Reload it and try again."),
  404: gettext("This no longer exists. Reload the page to see what does."),
  429: gettext("Too many requests. Wait a minute and try again."),
};

function say(source, sentence) {
  const place = source.querySelector?.("[data-fault]") ?? source.parentElement?.closest(":has([data-fault])")?.querySelector("[data-fault]");
  if (!place) return;
  const polls = source.getAttribute?.("hx-trigger")?.includes("every");
  place.textContent = polls ? gettext("Polyscribe does not answer just now. This page keeps trying.") : sentence;
  place.hidden = false;
}

document.addEventListener("htmx:response:error", ({ detail }) => {
  const status = detail.ctx.response.status;
  say(detail.ctx.sourceElement, SENTENCES[status] ?? interpolate(gettext("Polyscribe answered with error {status}. Nothing was changed; try again."), { status }));
});
document.addEventListener("htmx:error", ({ detail }) => {
  if (detail.ctx) say(detail.ctx.sourceElement, gettext("Polyscribe could not be reached. Check your connection and try again."));
});
