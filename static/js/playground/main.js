// The playground: one prompt, up to four styles beside each other, all writing at once.
import { asCurl, asJavaScript, asPython, makeCall, settingsOf } from "./call.js";
import { addToHistory, clearHistory, linkTo, readHistory, readLink, takeHeard } from "./history.js";
import { Pane } from "./pane.js";
import { exportAnswers, saveText } from "./save.js";
import { gettext, interpolate } from "../words.js";

const MOST = 4;
const ENGLISH = /\b(the|of|and|to|about|with|write|describe)\b/i; // words that a German prompt hardly has
const form = document.querySelector("[data-playground]");
const at = (name) => document.querySelector(`[data-${name}]`);
const saving = document.getElementById("save");
const grid = at("panes");
const template = at("pane-template");
const historyKey = `playground:${form.dataset.playground}`;
const panes = [];
let stopper = null;
let shown = 0; // which pane a phone shows

function addPane(model) {
  const pane = new Pane(template, form);
  if (model) pane.choose(model);
  pane.onRemove(() => removePane(pane));
  pane.select.addEventListener("change", arrange);
  panes.push(pane);
  grid.append(pane.node);
  arrange();
  return pane;
}

function removePane(pane) {
  panes.splice(panes.indexOf(pane), 1);
  pane.node.remove();
  shown = Math.min(shown, panes.length - 1);
  arrange();
  panes[shown].select.focus();
}

function setModels(models) {
  while (panes.length) panes.pop().node.remove();
  for (const model of models.slice(0, MOST)) addPane(model);
  if (!panes.length) addPane();
}

function arrange() {
  shown = Math.max(0, Math.min(shown, panes.length - 1));
  const tabs = panes.map((pane, index) => {
    pane.number(index + 1, panes.length);
    pane.node.dataset.shown = String(index === shown);
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "button";
    tab.textContent = pane.title;
    tab.title = pane.title;
    tab.ariaPressed = String(index === shown);
    tab.addEventListener("click", () => { shown = index; arrange(); });
    return tab;
  });
  at("pane-tabs").replaceChildren(...tabs);
  at("pane-tabs").hidden = panes.length === 1;
  at("add").hidden = panes.length >= MOST;
  const hasText = panes.some((pane) => pane.turns.length);
  for (const button of document.querySelectorAll("[data-after]")) button.hidden = !hasText;
  showCall();
}

// The same call, exactly as the first pane (on a phone the one in sight) sends it.
function showCall() {
  const prompt = form.elements.prompt.value.trim() || form.elements.prompt.placeholder;
  const pane = panes[shown];
  const call = makeCall(pane.model, pane.messages(form.elements.system.value.trim(), withLength(prompt), false), settingsOf(form));
  at("call-curl").textContent = asCurl(call, form.dataset.base);
  at("call-python").textContent = asPython(call, form.dataset.base);
  at("call-javascript").textContent = asJavaScript(call, form.dataset.base);
}

// What the chosen length says of itself: its tokens, the words to ask for, and the least of them.
function chosenLength() {
  const length = at("length");
  return length.options[length.selectedIndex].dataset;
}

// The model is asked for the length that a writer chose; in tokens alone, it is only a maximum.
// In the page's language, unless the prompt is plainly English: else the answer might change its language.
function withLength(prompt) {
  const { words } = chosenLength();
  if (!words) return prompt;
  if (ENGLISH.test(prompt)) return `${prompt}\n\nWrite about ${words} words.`;
  const length = interpolate(gettext("Write about {count} words."), { count: words });
  return `${prompt}\n\n${length}`;
}

async function write(isReply) {
  const prompt = form.elements.prompt.value.trim();
  if (!isAsked(prompt)) return;
  const leastWords = Number(chosenLength().least ?? 0);
  await ask(prompt, panes, (pane, system, settings, signal) => {
    const messages = pane.messages(system, withLength(prompt), isReply);
    return pane.write(makeCall(pane.model, messages, settings), signal, { shown: prompt, leastWords });
  });
}

// Each answer goes on by its own words.
async function goOn() {
  const written = panes.filter((pane) => pane.turns.length);
  await ask(written[0]?.prompt ?? "", written, (pane, system, settings, signal) => {
    const before = system ? [{ role: "system", content: system }] : [];
    return pane.goOn(makeCall(pane.model, [...before, ...pane.turns.slice(0, -1)], settings), signal);
  });
}

async function ask(prompt, asked, send) {
  if (stopper || !form.reportValidity()) return;
  const settings = settingsOf(form);
  const system = form.elements.system.value.trim();
  stopper = new AbortController();
  grid.closest("section").scrollIntoView({ block: "nearest" });
  busy(true);
  const answers = await Promise.all(asked.map((pane) => send(pane, system, settings, stopper.signal)));
  stopper = null;
  busy(false);
  at("state-of-all").textContent = answers.map(({ ended }, index) => `${asked[index].title}: ${ended}.`).join(" ");
  addToHistory(historyKey, { at: new Date().toISOString(), prompt, system, settings, answers });
  showHistory();
  arrange();
}

function busy(isBusy) {
  at("write").disabled = isBusy;
  for (const button of document.querySelectorAll("[data-after]")) button.disabled = isBusy;
  at("add").disabled = isBusy;
  at("stop").hidden = !isBusy;
  for (const pane of panes) for (const part of pane.node.querySelectorAll("select, [data-remove]")) part.disabled = isBusy;
}

function isAsked(prompt) {
  const line = document.getElementById("prompt_error");
  line.textContent = prompt ? "" : gettext("Enter a prompt first, for example: Describe a morning in the city.");
  line.hidden = Boolean(prompt);
  form.elements.prompt.setAttribute("aria-invalid", String(!prompt));
  if (!prompt) form.elements.prompt.focus();
  return Boolean(prompt);
}

function fill({ prompt, system = "", settings = {} }) {
  form.elements.prompt.value = prompt;
  form.elements.system.value = system;
  for (const [name, value] of Object.entries(settings)) {
    const field = form.elements[name];
    if (field) field.value = Array.isArray(value) ? value.join("\n") : value;
  }
  showLength();
}

// The length in words of a writer is the number of tokens in the settings; another number is neither.
function showLength() {
  const length = at("length");
  const chosen = [...length.options].find(({ dataset }) => dataset.tokens === form.elements.max_tokens.value);
  length.value = chosen?.value ?? "";
}

// In the format of the button: a page of the server's makes the file, except of the text itself.
async function save(event) {
  event.preventDefault();
  const button = event.submitter;
  const action = button.getAttribute("formaction");
  button.disabled = true; // its receipts may come a second or two after an answer
  const text = await exportAnswers(panes.filter((pane) => pane.turns.length), saving.dataset, { isFormatted: Boolean(action) });
  button.disabled = false;
  if (!action) return saveText(text);
  saving.action = action;
  saving.elements.text.value = text;
  saving.submit();
}

function showHistory() {
  const runs = readHistory(historyKey);
  at("history").hidden = !runs.length;
  at("runs").replaceChildren(...runs.map((run) => {
    const line = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-plain";
    button.textContent = run.prompt.length > 80 ? `${run.prompt.slice(0, 79)}…` : run.prompt;
    button.addEventListener("click", () => openRun(run));
    const about = document.createElement("span");
    about.className = "soft small";
    about.textContent = `${new Date(run.at).toLocaleString()} · ${run.answers.map(({ model }) => model).join(", ")}`;
    line.append(button, about);
    return line;
  }));
}

function openRun(run) {
  if (stopper) return;
  setModels(run.answers.map(({ model }) => model));
  fill(run);
  run.answers.slice(0, MOST).forEach((answer, index) => panes[index].restore({ prompt: run.prompt, ...answer }));
  arrange();
  scrollTo({ top: 0 });
}

async function share() {
  const request = { models: panes.map(({ model }) => model), prompt: form.elements.prompt.value.trim(), system: form.elements.system.value.trim(), settings: settingsOf(form) };
  const link = linkTo(request);
  const field = at("link");
  field.value = link;
  field.hidden = false;
  field.select();
  const isCopied = await navigator.clipboard?.writeText(link).then(() => true, () => false);
  at("said").textContent = isCopied ? gettext("Link copied. It includes the prompt but not the answers.") : gettext("Copy the link from the field. It includes the prompt but not the answers.");
}

// A field that is wrong is seen, also one of the settings.
form.addEventListener("invalid", ({ target }) => target.closest("details")?.setAttribute("open", ""), true);
form.addEventListener("submit", (event) => { event.preventDefault(); write(false); });
at("reply").addEventListener("click", () => write(true));
at("continue").addEventListener("click", goOn);
saving.addEventListener("submit", save);
at("length").addEventListener("change", () => {
  const { tokens } = chosenLength();
  if (tokens) form.elements.max_tokens.value = tokens;
});
form.elements.max_tokens.addEventListener("input", showLength);
at("add").addEventListener("click", () => addPane(nextModel()).select.focus());
at("stop").addEventListener("click", () => stopper?.abort());
at("share").addEventListener("click", share);
at("forget").addEventListener("click", () => { clearHistory(historyKey); showHistory(); });
form.addEventListener("input", showCall);
form.elements.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopper?.abort(); });

// The first model that no pane has yet.
function nextModel() {
  const used = new Set(panes.map(({ model }) => model));
  return [...panes[0].select.options].map(({ value }) => value).find((model) => !used.has(model));
}

// What was heard on the first page, before the style was chosen: it stands in its pane, and a reply goes on from it.
function showHeard({ model, prompt, text }) {
  const pane = panes.find((one) => one.model === model);
  if (!pane) return;
  const answer = { model, text, ended: gettext("Finished") };
  fill({ prompt });
  pane.restore({ prompt, ...answer });
  addToHistory(historyKey, { at: new Date().toISOString(), prompt, system: "", settings: settingsOf(form), answers: [answer] });
  arrange();
}

const asked = readLink(location.hash);
setModels(asked?.models ?? JSON.parse(form.dataset.models));
if (asked) fill(asked);
const heard = takeHeard();
if (heard) showHeard(heard);
showLength();
showHistory();
showCall();
