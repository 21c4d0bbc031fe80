// A form is sent once: of a double click the second would come as well, and its answer would hide the first one's,
// which may show a secret that is shown once.
const AGAIN_AFTER_MS = 5_000;
const sent = new WeakSet();

addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || form.method !== "post" || form.target) return;
  if (sent.has(form)) return event.preventDefault();
  sent.add(form);
  setTimeout(() => sent.delete(form), AGAIN_AFTER_MS); // the page is still here: who stopped it may send again
});

// A page that comes back from the browser's memory may be sent again.
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) sent.delete(form);
});
