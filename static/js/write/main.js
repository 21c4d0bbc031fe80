// The page to write on: a text, what can be suggested for it, and what was saved.
import { countWords, gettext, interpolate, language } from "../words.js";
import { Check } from "./check.js";
import { Saving } from "./saving.js";
import { Suggestion } from "./suggestion.js";

const COUNT_AFTER_MS = 400;
const form = /** @type {HTMLFormElement} */ (document.getElementById("draft"));
const at = (name) => document.querySelector(`[data-${name}]`);
const text = form.elements.text;
const model = at("model");
const settings = JSON.parse(document.getElementById("write-settings").textContent);
const saving = new Saving(form, at("saved"));
const suggestion = new Suggestion(at("suggestion"), text, {
  asking: document.getElementById("ask"),
  settings,
  model,
  highlight: at("highlight"),
  onAccepted: (passages) => saving.flush(passages),
});
let counting = 0;

function showActions() {
  const isSelected = text.selectionStart !== text.selectionEnd;
  at("on-selection").hidden = !isSelected;
  at("at-cursor").hidden = isSelected;
}

function showCount() {
  const count = countWords(text.value);
  at("words").textContent = interpolate(count === 1 ? gettext("{count} word") : gettext("{count} words"), { count: count.toLocaleString(language) });
}

async function suggest(action) {
  if (action === "own" && !at("wish").value.trim()) {
    at("wish").focus();
    return;
  }
  saving.flush(); // so that the snapshot before it is what stands here
  await suggestion.begin(action, { wish: at("wish").value.trim(), words: Number(at("length").value) });
}

saving.onConflict = (newest, sentence) => {
  const notice = at("conflict");
  notice.hidden = false;
  notice.querySelector("[data-sentence]").textContent = sentence;
  notice.scrollIntoView({ block: "nearest" });
  at("open-newest").onclick = () => { saving.take(newest); notice.hidden = true; showCount(); };
  at("keep-mine").onclick = () => { saving.replace(newest.revision); notice.hidden = true; };
};

for (const button of document.querySelectorAll("[data-action]")) {
  button.addEventListener("pointerdown", (event) => event.preventDefault()); // the text keeps its selection in sight
  button.addEventListener("click", () => suggest(button.dataset.action));
}
at("wish").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  suggest("own");
});
for (const event of ["focus", "select", "keyup", "pointerup"]) text.addEventListener(event, showActions);
document.addEventListener("selectionchange", () => { if (document.activeElement === text) showActions(); });
text.addEventListener("input", () => {
  clearTimeout(counting);
  counting = setTimeout(showCount, COUNT_AFTER_MS);
});
model.addEventListener("change", async () => {
  await saving.untilLoggedIn();
  model.form.submit(); // what can be checked depends on the style
});
// Sharing and deleting wait for a log-in, too. What is submitted then is no click, so it isn't caught again.
for (const button of document.querySelectorAll(".write-side [type=submit]")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    button.disabled = true; // one wait is enough
    await saving.untilLoggedIn();
    button.disabled = false; // a disabled one isn't sent along
    button.form.requestSubmit(button);
  });
}
// A file has what stands here, not what was saved before.
for (const link of document.querySelectorAll("[data-download]")) {
  link.addEventListener("click", async (event) => {
    if (saving.isSaved) return;
    event.preventDefault();
    await saving.flush();
    location.assign(link.href);
  });
}
const checkButton = at("check-text");
const check = checkButton && new Check(form, { list: at("checks"), state: at("checked"), saving, onRewrite: () => suggest("rewrite") });
checkButton?.addEventListener("click", () => check.run(checkButton));
showActions();
