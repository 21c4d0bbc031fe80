// Sends the prompt, and writes what streams back; Stop ends it, and what was written stays.
import { answer as ask, sentenceOf, textOf } from "./answer.js";

const form = document.querySelector("[data-playground]");
const at = (name) => document.querySelector(`[data-${name}]`);
const answer = at("answer");
let stopper = null;

const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
const tokens = (count) => (count === undefined ? "–" : `${count.toLocaleString("en")} ${count === 1 ? "token" : "tokens"}`);

function fail(sentence) {
  at("playground-error").hidden = false;
  at("sentence").textContent = sentence;
  at("state").textContent = "Stopped by an error";
}

function begin() {
  stopper = new AbortController();
  answer.textContent = "";
  answer.ariaBusy = "true";
  at("playground-error").hidden = true;
  for (const name of ["prompt-tokens", "written-tokens", "first-word", "whole-time"]) at(name).textContent = "–";
  at("state").textContent = "Waiting for the engine";
  at("write").disabled = true;
  at("stop").hidden = false;
}

function end() {
  stopper = null;
  answer.ariaBusy = "false";
  at("write").disabled = false;
  at("stop").hidden = true;
}

function write(text) {
  const low = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 40;
  answer.append(text);
  if (low) answer.scrollTop = answer.scrollHeight;
}

async function read(started) {
  for await (const chunk of ask(form, new FormData(form), stopper.signal)) {
    const text = textOf(chunk);
    if (text && !answer.textContent) {
      at("first-word").textContent = seconds(performance.now() - started);
      at("state").textContent = "Writing";
    }
    if (text) write(text);
    if (chunk.usage) {
      at("prompt-tokens").textContent = tokens(chunk.usage.prompt_tokens);
      at("written-tokens").textContent = tokens(chunk.usage.completion_tokens);
    }
  }
}

async function run() {
  const started = performance.now();
  begin();
  try {
    await read(started);
    at("state").textContent = "Done";
  } catch (error) {
    if (error.name === "AbortError") at("state").textContent = "Stopped";
    else fail(sentenceOf(error));
  } finally {
    at("whole-time").textContent = seconds(performance.now() - started);
    end();
  }
}

function submit(event) {
  event.preventDefault();
  if (stopper) return;
  const prompt = form.elements.prompt;
  const empty = !prompt.value.trim();
  const line = document.getElementById("prompt_error");
  line.textContent = empty ? "Write a prompt first, for example: Describe a morning in the city." : "";
  line.hidden = !empty;
  prompt.setAttribute("aria-invalid", String(empty));
  if (empty) prompt.focus();
  else run();
}

function propose() {
  const chosen = form.elements.model.selectedOptions[0];
  if (chosen.dataset.prompt) form.elements.prompt.placeholder = chosen.dataset.prompt;
  for (const place of document.querySelectorAll("[data-call-model]")) place.textContent = chosen.value;
}

if (form) {
  form.addEventListener("submit", submit);
  at("stop").addEventListener("click", () => stopper?.abort());
  at("again").addEventListener("click", () => form.requestSubmit());
  form.elements.model.addEventListener("change", propose);
  form.elements.temperature.addEventListener("input", () => { at("temperature").textContent = Number(form.elements.temperature.value).toFixed(1); });
  form.elements.prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") stopper?.abort(); });
  propose();
}
