// A request of htmx that failed says so in place: in the nearest [data-fault], inside or around the element.
// The next good answer swaps the element and so clears the line.
import { gettext, interpolate } from "./words.js";
const SENTENCES = {
  403: gettext("This page has expired. Reload it and try again."),
  404: gettext("This no longer exists. Reload the page."),
  429: gettext("Too many requests. Wait a minute and try again."),
};

function say(source, sentence) {
  const place = source.querySelector?.("[data-fault]") ?? source.parentElement?.closest(":has([data-fault])")?.querySelector("[data-fault]");
  if (!place) return;
  const polls = source.getAttribute?.("hx-trigger")?.includes("every");
  place.textContent = polls ? gettext("We can’t reach Polyscribe right now. We’ll keep trying.") : sentence;
  place.hidden = false;
}

document.addEventListener("htmx:response:error", ({ detail }) => {
  const status = detail.ctx.response.status;
  say(detail.ctx.sourceElement, SENTENCES[status] ?? interpolate(gettext("Something went wrong (error {status}). Nothing was changed. Try again."), { status }));
});
document.addEventListener("htmx:error", ({ detail }) => {
  if (detail.ctx) say(detail.ctx.sourceElement, gettext("We couldn’t reach Polyscribe. Check your connection and try again."));
});
