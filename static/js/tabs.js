// Tabs by the ARIA pattern: arrows move, Home and End jump. Until this runs, CSS shows the first panel; without
// JavaScript it shows all of them.
for (const tabs of document.querySelectorAll("[data-tabs]")) {
  const buttons = [...tabs.querySelectorAll("[role=tab]")];
  const pick = (chosen) => {
    for (const button of buttons) {
      const on = button === chosen;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      document.getElementById(button.getAttribute("aria-controls")).hidden = !on;
    }
  };
  tabs.addEventListener("click", (event) => {
    const button = event.target.closest("[role=tab]");
    if (button) pick(button);
  });
  tabs.addEventListener("keydown", (event) => {
    const at = buttons.findIndex((button) => button === event.target);
    if (at < 0) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = buttons.at(to % buttons.length);
    pick(next);
    next.focus();
  });
  pick(buttons[0]);
  tabs.dataset.ready = "";
}
