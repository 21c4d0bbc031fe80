// <a data-drawer> in a row: its page's details open in the drawer beside the list. A click anywhere on the row does the
// same; one that asks for a new tab gets the page. What is typed on the list and where it was scrolled to stay.
const drawer = document.querySelector("dialog[data-details]");
const body = drawer?.querySelector("[data-details-body]");
const fault = drawer?.querySelector("[data-fault]");
let opener = null;

function linkOf({ target }) {
  const own = target.closest("a, button, input, select, summary, label, dialog");
  if (own) return own.closest("a[data-drawer]");
  const isSelecting = !getSelection().isCollapsed;
  return isSelecting ? null : target.closest("tr")?.querySelector("a[data-drawer]");
}

async function show(link) {
  opener = link;
  link.focus();
  body.replaceChildren();
  fault.hidden = true;
  drawer.querySelector("[data-own-page]").href = link.href;
  drawer.setAttribute("aria-busy", "true");
  drawer.showModal();
  try {
    await globalThis.htmx.ajax("GET", link.href, { source: drawer, target: body, swap: "innerHTML" });
  } finally {
    drawer.removeAttribute("aria-busy");
  }
}

document.addEventListener("click", (event) => {
  const wantsTab = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
  const link = drawer && globalThis.htmx && !wantsTab && !event.defaultPrevented && linkOf(event);
  if (!link) return;
  event.preventDefault();
  show(link);
});

// A list that renews itself may have made the row anew meanwhile.
drawer?.addEventListener("close", () => {
  const link = opener?.isConnected ? opener : opener && document.getElementById(opener.id);
  link?.focus();
});
