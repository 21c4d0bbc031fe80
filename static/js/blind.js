// A blind vote: both sides write on one prompt, the person votes, and only then are the names there.
import { answer, sentenceOf, textOf } from "./answer.js";
import { post } from "./post.js";
import { gettext, withCode } from "./words.js";

const form = document.querySelector("[data-blind]");
const at = (name) => document.querySelector(`[data-${name}]`);
const sides = [...document.querySelectorAll("[data-side]")];
const votes = [...document.querySelectorAll("[data-vote]")];
let stopper = null;
let round = null;

const addressOf = (end) => `${form.action}${round}/${end}/`;

function fail(sentence) {
  at("fault").replaceChildren(...withCode(sentence));
  at("fault").hidden = !sentence;
}

function failOnPrompt(sentence) {
  const line = document.getElementById("prompt_error");
  line.replaceChildren(...withCode(sentence));
  line.hidden = !sentence;
  form.elements.prompt.setAttribute("aria-invalid", String(Boolean(sentence)));
  if (sentence) form.elements.prompt.focus();
}

function allowVotes(areAllowed) {
  for (const button of votes) button.disabled = !areAllowed;
}

function clear() {
  for (const name of document.querySelectorAll("[data-name]")) name.textContent = name.dataset.unnamed;
  for (const side of sides) side.textContent = "";
  for (const button of votes) button.ariaPressed = null;
  allowVotes(false);
  at("answers").hidden = false;
}

async function write(side, prompt) {
  side.ariaBusy = "true";
  const call = { messages: [{ role: "user", content: prompt }], max_tokens: Number(form.dataset.maxTokens) };
  const place = { action: addressOf(`${side.dataset.side}/stream`), elements: form.elements };
  try {
    for await (const chunk of answer(place, call, stopper.signal)) side.append(textOf(chunk));
  } finally {
    side.ariaBusy = "false";
  }
}

// Both begin and end together, as far as a person sees: what is quicker would say who it is.
async function run() {
  const prompt = form.elements.prompt.value.trim();
  failOnPrompt(prompt ? "" : gettext("Enter a prompt first, for example: Describe a morning in the city."));
  if (stopper || !prompt) return;
  stopper = new AbortController();
  allowVotes(false);
  at("write").disabled = true;
  at("stop").hidden = false;
  fail("");
  at("said").textContent = gettext("Writing");
  try {
    round = (await post(form, form.action, { first: form.elements.first.value, second: form.elements.second.value })).round;
    clear();
    await Promise.all(sides.map((side) => write(side, prompt)));
    allowVotes(true);
    at("said").textContent = gettext("Read both answers, then vote.");
  } catch (problem) {
    stopper.abort(); // the other side need not go on
    at("said").textContent = problem.name === "AbortError" ? gettext("Stopped. Select “Write” to start another round.") : "";
    if (problem.name !== "AbortError") fail(Object.values(problem.errors ?? { all: [sentenceOf(problem)] }).flat().join(" "));
  } finally {
    stopper = null;
    at("write").disabled = false;
    at("stop").hidden = true;
  }
}

async function vote(button) {
  allowVotes(false);
  fail("");
  try {
    const voted = round;
    const named = await post(form, addressOf("vote"), { choice: button.value });
    if (voted !== round) return; // the names are not those of what is read now
    for (const name of document.querySelectorAll("[data-name]")) name.textContent = named[name.dataset.name];
    button.ariaPressed = "true";
    at("said").textContent = [named.said, gettext("Select “Write” to start another round.")].join(" ");
  } catch (problem) {
    allowVotes(problem.status === undefined); // a broken line may be tried again
    fail(Object.values(problem.errors ?? { all: [sentenceOf(problem)] }).flat().join(" "));
  }
}

if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  form.elements.prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  at("stop").addEventListener("click", () => stopper?.abort());
  for (const button of votes) button.addEventListener("click", () => vote(button));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopper?.abort(); });
}
