// The first minute: one prompt, each style writes its answer beside the others, and one of them is chosen.
import { answer, sentenceOf, textOf } from "./answer.js";
import { post } from "./post.js";
import { gettext, withCode } from "./words.js";

const form = document.querySelector("[data-welcome]");
const at = (name) => document.querySelector(`[data-${name}]`);
const voices = [...document.querySelectorAll("[data-voice]")];
let stopper = null;

async function write(voice, prompt) {
  const part = (name) => voice.querySelector(`[data-${name}]`);
  const text = part("text");
  text.textContent = "";
  text.ariaBusy = "true";
  part("error").hidden = true;
  part("about").textContent = gettext("Waiting for the model");
  const call = { model: voice.dataset.model, messages: [{ role: "user", content: prompt }], max_tokens: Number(form.dataset.maxTokens) };
  try {
    for await (const chunk of answer(form, call, stopper.signal)) {
      if (textOf(chunk)) part("about").textContent = gettext("Writing");
      text.append(textOf(chunk));
    }
    part("about").textContent = gettext("Written for your prompt");
    Object.assign(voice.dataset, { heard: text.textContent, prompt });
  } catch (error) {
    const isStopped = error.name === "AbortError";
    part("about").textContent = isStopped ? gettext("Stopped") : "";
    part("error").replaceChildren(...withCode(isStopped ? "" : sentenceOf(error)));
    part("error").hidden = isStopped;
  } finally {
    text.ariaBusy = "false";
  }
}

// The playground goes on from the text that was chosen here (playground/main.js).
function takeAlong(voice) {
  const { model, heard, prompt } = voice.dataset;
  try {
    if (heard) sessionStorage.setItem("heard", JSON.stringify({ model, prompt, text: heard }));
  } catch { /* a browser that keeps nothing */ }
}

function busy(isBusy) {
  at("write").disabled = isBusy;
  at("stop").hidden = !isBusy;
}

function isAsked(prompt) {
  const line = document.getElementById("prompt_error");
  line.textContent = prompt ? "" : gettext("Enter a prompt first, for example: Describe a morning in the city.");
  line.hidden = Boolean(prompt);
  form.elements.prompt.setAttribute("aria-invalid", String(!prompt));
  if (!prompt) form.elements.prompt.focus();
  return Boolean(prompt);
}

async function run() {
  const prompt = form.elements.prompt.value.trim();
  if (stopper || !isAsked(prompt)) return;
  stopper = new AbortController();
  busy(true);
  at("said").textContent = "";
  try {
    await post(form, form.dataset.hear, {});
    await Promise.all(voices.map((voice) => write(voice, prompt)));
    at("said").textContent = gettext("Choose a style below, or try another prompt.");
    at("write-label").textContent = gettext("Write again");
  } catch (problem) {
    at("said").replaceChildren(...withCode(Object.values(problem.errors ?? { all: [sentenceOf(problem)] }).flat().join(" ")));
  } finally {
    stopper = null;
    busy(false);
  }
}

if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); run(); });
  form.elements.prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  at("stop").addEventListener("click", () => stopper?.abort());
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopper?.abort(); });
  for (const choice of document.querySelectorAll("[data-choose]")) {
    choice.addEventListener("submit", () => {
      choice.elements.prompt.value = form.elements.prompt.value.trim();
      takeAlong(choice.closest("[data-voice]"));
    });
  }
}
