// Asks both versions each prompt, side by side, then lets the studio mark what differs. What an error or Stop
// left out is asked again by "Continue"; what was written stays.
import { answer, sentenceOf, textOf } from "./answer.js";
import { gettext, interpolate, withCode } from "./words.js";

const form = document.querySelector("[data-compare]");
const at = (name) => document.querySelector(`[data-${name}]`);
const cells = () => [...document.querySelectorAll("[data-cell]")];
const open = () => cells().filter((cell) => !("done" in cell.dataset));
let stopper = null;

function say(sentence) {
  at("state").textContent = sentence;
}

function fail(place, sentence) {
  place.replaceChildren(...withCode(sentence));
  place.hidden = !sentence;
}

const errorOf = (cell) => cell.parentElement.querySelector("[data-cell-error]");

function clear(cell) {
  delete cell.dataset.done;
  cell.textContent = "";
  cell.parentElement.querySelector("[data-cell-facts]")?.remove();
  fail(errorOf(cell), "");
}

async function write(cell) {
  clear(cell);
  cell.ariaBusy = "true";
  const messages = [{ role: "user", content: cell.dataset.prompt }];
  const call = { model: cell.dataset.model, messages, temperature: 0, max_tokens: Number(form.dataset.maxTokens) };
  try {
    for await (const chunk of answer(form, call, stopper.signal)) cell.append(textOf(chunk));
    cell.dataset.done = "";
  } catch (error) {
    if (error.name !== "AbortError") fail(errorOf(cell), sentenceOf(error));
  } finally {
    cell.ariaBusy = "false";
  }
}

function begin() {
  stopper = new AbortController();
  if (!open().length) cells().forEach(clear);
  document.getElementById("compare-summary").replaceChildren();
  fail(at("compare-error"), "");
  at("start").disabled = true;
  at("stop").hidden = false;
}

function end() {
  stopper = null;
  at("start").disabled = false;
  at("stop").hidden = true;
  const left = open().length;
  at("start-label").textContent = left === cells().length ? gettext("Compare") : left ? gettext("Continue") : gettext("Compare again");
}

async function summarise() {
  const fields = new URLSearchParams();
  for (const cell of cells()) {
    if (cell.dataset.side === "first") fields.append("prompt", cell.dataset.prompt);
    fields.append(cell.dataset.side, cell.textContent);
  }
  const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value };
  const response = await fetch(form.dataset.answers, { method: "POST", body: fields, headers, redirect: "manual" });
  if (!response.ok) throw new Error(gettext("We couldn’t highlight the differences. Reload the page and compare again."));
  const shown = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ["compare-rows", "compare-summary"]) {
    document.getElementById(id).replaceChildren(...shown.getElementById(id).childNodes);
  }
  cells().forEach((cell) => { cell.dataset.done = ""; });
}

// Both versions of one prompt at once, the prompts one after another: no more than two requests in flight.
async function ask() {
  for (let left = open(); left.length; left = open()) {
    const prompt = left[0].dataset.prompt;
    say(interpolate(gettext("Answer {number} of {count}: {prompt}"), { number: cells().length - left.length + 1, count: cells().length, prompt }));
    const pair = left.filter((cell) => cell.dataset.prompt === prompt);
    await Promise.all(pair.map(write));
    if (pair.some((cell) => !("done" in cell.dataset))) return false;
  }
  return true;
}

async function run() {
  begin();
  try {
    const whole = await ask();
    if (whole) await summarise();
    say(whole ? gettext("Done") : stopper.signal.aborted ? gettext("Stopped. You can continue at any time.") : gettext("Stopped by an error. Select “Continue” to get the remaining answers."));
  } catch (error) {
    fail(at("compare-error"), sentenceOf(error));
    say("");
  } finally {
    end();
  }
}

if (form) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!stopper) run();
  });
  at("stop").addEventListener("click", () => stopper?.abort());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopper?.abort(); });
}
