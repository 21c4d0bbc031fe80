// A classic script in <head>, not a module: it must run before the first paint, or the page flashes.
(() => {
  const root = document.documentElement;
  // The guides' theme keeps its choice in the same place, and calls the system's "auto".
  const read = () => {
    try { return (localStorage.getItem("theme") || "auto").replace("auto", "system"); } catch { return "system"; }
  };
  const keep = (theme) => {
    try { localStorage.setItem("theme", theme.replace("system", "auto")); } catch { /* private mode: the choice lasts for this page */ }
  };
  const apply = (theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  };
  const mark = (theme) => {
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
    }
  };

  const SIDEBAR = "sidebar";
  try { if (localStorage.getItem(SIDEBAR) === "narrow") root.dataset.sidebar = "narrow"; } catch { /* it is wide */ }

  apply(read());
  document.addEventListener("DOMContentLoaded", () => mark(read()));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-sidebar-toggle]")) return;
    const isNarrow = root.dataset.sidebar === "narrow";
    if (isNarrow) delete root.dataset.sidebar;
    else root.dataset.sidebar = "narrow";
    try { localStorage.setItem(SIDEBAR, isNarrow ? "wide" : "narrow"); } catch { /* private mode */ }
  });
  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme-choice]")?.dataset.themeChoice;
    if (!theme) return;
    keep(theme);
    apply(theme);
    mark(theme);
  });
  addEventListener("storage", () => { apply(read()); mark(read()); });
})();
