// What was typed into a form survives a session that ended: kept in this tab while the log-in is shown, put back after it.
const KEY = "typed";
const KEPT_MS = 3600_000;
const SECRET = "[type=password], [type=hidden], [type=file]";
const here = location.pathname + location.search;

const fieldsOf = (form) => [...form.elements].filter((field) => field.name && !field.matches(`button, fieldset, ${SECRET}`));

addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || form.method !== "post" || form.querySelector("[type=password]")) return;
  const fields = fieldsOf(form).map((field) => [field.name, field.value, field.checked ?? null]);
  if (fields.length) write({ page: here, action: form.getAttribute("action"), fields, at: Date.now() });
});

function write(typed) {
  try {
    if (typed) sessionStorage.setItem(KEY, JSON.stringify(typed));
    else sessionStorage.removeItem(KEY);
  } catch { /* a browser that keeps nothing */ }
}

function read() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}

function restore({ action, fields }) {
  const form = [...document.forms].find((one) => one.getAttribute("action") === action);
  if (!form) return;
  for (const field of fieldsOf(form)) {
    const kept = fields.find(([name, value]) => name === field.name && (!isChoice(field) || value === field.value));
    if (!kept) continue;
    if (isChoice(field)) field.checked = kept[2];
    else field.value = kept[1];
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const folded = form.closest("details");
  if (folded) folded.open = true;
  const dialog = form.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
}

const isChoice = (field) => field.type === "checkbox" || field.type === "radio";

const typed = read();
if (typed) {
  const isLogIn = Boolean(document.querySelector("[data-log-in]"));
  if (Date.now() - typed.at > KEPT_MS) write(null);
  else if (isLogIn) write({ ...typed, interrupted: true });
  else if (!typed.interrupted) write(null); // it arrived
  else if (typed.page === here) {
    write(null);
    restore(typed);
  }
}
