// A suggestion beside the text: asks the style, streams, compares, and puts it into the text only when accepted.
import { answer as ask, goOnUntil, sentenceOf, textOf } from "../answer.js";
import { countWords, gettext, interpolate, withCode } from "../words.js";
import { compared } from "./compare.js";

const ENGLISH = /\b(the|of|and|to|a|in|that|was|is)\b/i; // words that no long German text has
const GERMAN = /\b(der|die|das|und|nicht|ist|ein|zu|war|ich)\b/i;
const TOKENS_PER_WORD = { en: 1.8, de: 3.2 }; // of small models, which have read little German
const SPARE_TOKENS = 24;
const PREFIX_CHARACTERS = 2400; // of the text before the cursor: the engine's context is short
const SHORTER = 0.6;
const LONGER = 1.6;
const SENTENCE_END = /[.!?…]["'”’»)]*(?=\s|$)/g;
const LIVELIER = 0.8; // of several wordings, which must differ
const WAYS = 3; // of saying it differently
const HEADINGS = {
  rewrite: gettext("In your style"), shorten: gettext("Shorter"), expand: gettext("Longer"),
  differently: gettext("Other wordings"), own: gettext("As you asked"), continue: gettext("Continued"),
};

// An answer that ended at its last token loses the sentence that it broke off in, unless there is no other.
function upToSentence(text) {
  const ends = [...text.matchAll(SENTENCE_END)];
  const last = ends.at(-1);
  return last ? text.slice(0, last.index + last[0].length) : text;
}

function languageOf(text) {
  return GERMAN.test(text) && !ENGLISH.test(text.replace(/\b(in|was|war)\b/gi, "")) ? "de" : "en";
}

export class Suggestion {
  #node;
  #text;
  #highlight; // lies under the text and marks what a suggestion is for
  #asking;
  #settings;
  #model;
  #stopper = null;
  #request = null; // {action, start, end, original, wish, words}
  #choices = []; // {text, passages, node}

  constructor(node, text, { asking, settings, model, highlight, onAccepted }) {
    this.#node = node;
    this.#highlight = highlight;
    this.#text = text;
    this.#asking = asking;
    this.#settings = settings;
    this.#model = model;
    this.onAccepted = onAccepted;
    this.#at("stop").addEventListener("click", () => this.#stopper?.abort());
    this.#at("accept").addEventListener("click", () => this.accept(this.#choices[0]));
    this.#at("again").addEventListener("click", () => this.#run());
    this.#at("discard").addEventListener("click", () => this.discard());
    node.addEventListener("keydown", (event) => this.#onKey(event));
    text.addEventListener("input", () => highlight.replaceChildren()); // it would be elsewhere
  }

  // Ask for a suggestion: of a selection, or from the cursor on. The space around a selection isn't replaced: a triple
  // click selects the line end, too.
  async begin(action, { wish = "", words = 100 } = {}) {
    const { selectionStart, selectionEnd, value } = this.#text;
    this.#stopper?.abort();
    this.#stopper = null;
    const selected = action === "continue" ? "" : value.slice(selectionStart, selectionEnd);
    const original = selected.trim();
    const start = selectionStart + selected.indexOf(original);
    this.#request = { action, start, end: start + original.length, original, wish, words };
    await this.#run();
  }

  discard() {
    this.#stopper?.abort();
    this.#close();
    this.#text.focus();
  }

  // Put a choice in place of what was selected, by the browser's own editing: so it can be undone like typing.
  async accept(choice) {
    const place = this.#locate();
    if (!choice?.text || !place) return;
    const { start, end } = place;
    const inserted = this.#request.action === "continue" ? this.#joined(start, choice.text) : choice.text.trim();
    this.#close();
    this.#text.focus();
    this.#text.setSelectionRange(start, end);
    if (!document.execCommand("insertText", false, inserted)) this.#text.setRangeText(inserted, start, end, "end");
    this.#text.setSelectionRange(start + inserted.length, start + inserted.length); // who types goes on behind it
    await this.onAccepted(choice.passages);
  }

  async #run() {
    const { action } = this.#request;
    const ways = action === "differently" ? WAYS : 1;
    this.#choices = [];
    this.#show();
    const most = Math.floor((this.#settings.max_tokens - SPARE_TOKENS) / this.#tokensPerWord(this.#request.original));
    if (countWords(this.#request.original) > most) {
      this.#fail(interpolate(gettext("Select at most {most} words: your plan’s longest answer isn’t longer."), { most }));
      return;
    }
    this.#choices = Array.from({ length: ways }, () => this.#addChoice(ways));
    this.#stopper = new AbortController();
    const { signal } = this.#stopper;
    const before = this.#text.value;
    this.#busy(true);
    this.#at("state").textContent = gettext("Waiting for the engine");
    const ended = await Promise.allSettled(this.#choices.map((choice) => this.#write(choice, signal)));
    if (signal !== this.#stopper?.signal) return; // another one has begun
    this.#stopper = null;
    this.#busy(false);
    const failed = ended.find(({ status }) => status === "rejected")?.reason;
    const isStopped = failed?.name === "AbortError";
    for (const choice of this.#choices) {
      if (choice.isCut) choice.text = upToSentence(choice.text);
      this.#compare(choice);
    }
    let state = gettext("Done");
    if (action !== "continue" && this.#choices.some((choice) => choice.isCut)) state = gettext("Its end is missing: the answer became too long");
    if (failed) state = isStopped ? gettext("Stopped by you") : "";
    this.#at("state").textContent = state;
    if (failed && !isStopped) this.#fail(sentenceOf(failed));
    const hasText = this.#choices.some(({ text }) => text.trim());
    this.#at("accept").hidden = ways > 1 || !hasText;
    const isTyping = document.activeElement === this.#text && this.#text.value !== before; // keys stay the text's
    if (!this.#node.hidden && !isTyping) (hasText && ways === 1 ? this.#at("accept") : this.#node).focus({ preventScroll: true });
  }

  async #write(choice, signal) {
    const { action, words } = this.#request;
    if (action !== "continue") {
      await this.#read(choice, this.#call(this.#prompt(), this.#request.original), signal);
      return;
    }
    await goOnUntil(words, () => countWords(choice.text), (missing) => this.#read(choice, this.#continuation(choice.text, missing), signal));
  }

  async #read(choice, call, signal) {
    const passage = { request_id: "", model: call.model, text: "" };
    try {
      for await (const chunk of ask(this.#asking, call, signal)) {
        const text = textOf(chunk);
        passage.request_id = chunk.requestId ?? "";
        passage.text += text;
        choice.text += text;
        const finish = chunk.choices?.[0]?.finish_reason;
        if (finish) choice.isCut = finish === "length";
        if (text) {
          choice.node.append(text);
          this.#at("state").textContent = gettext("Writing");
        }
      }
    } finally { // one that breaks off was written by the style as well
      if (passage.request_id && passage.text.trim()) choice.passages.push(passage);
    }
  }

  #call(prompt, original) {
    const words = this.#target(countWords(original));
    const max_tokens = Math.min(this.#settings.max_tokens, Math.ceil(words * this.#tokensPerWord(original)) + SPARE_TOKENS);
    const { sampling } = this.#settings;
    const drawn = this.#request.action === "differently" ? { ...sampling, temperature: LIVELIER } : sampling;
    return { model: this.#model.value, messages: [{ role: "user", content: prompt }], max_tokens, ...drawn, stream: true };
  }

  #continuation(written, words) {
    const before = this.#text.value.slice(0, this.#request.start) + written;
    const tail = before.length > PREFIX_CHARACTERS ? before.slice(before.indexOf(" ", before.length - PREFIX_CHARACTERS) + 1) : before;
    const prompt = this.#prompts(tail).continue;
    const max_tokens = Math.min(this.#settings.max_tokens, Math.ceil(words * this.#tokensPerWord(tail)) + SPARE_TOKENS);
    const messages = [{ role: "user", content: prompt }];
    if (!tail.trim()) return { model: this.#model.value, messages, max_tokens, stream: true };
    messages.push({ role: "assistant", content: tail.trimEnd() });
    return { model: this.#model.value, messages, continues: true, max_tokens, stream: true };
  }

  #prompt() {
    const { action, original, wish } = this.#request;
    const words = this.#target(countWords(original));
    return interpolate(this.#prompts(original)[action], { text: original.trim(), wish, words });
  }

  // How many words an answer is asked for.
  #target(words) {
    const { action } = this.#request;
    if (action === "shorten") return Math.max(5, Math.round(words * SHORTER));
    return action === "expand" ? Math.round(words * LONGER) : Math.max(words, 5);
  }

  #prompts(text) {
    return this.#settings.prompts[languageOf(text)];
  }

  #tokensPerWord(text) {
    return TOKENS_PER_WORD[languageOf(text)];
  }

  // Where the original stands now, if what was typed meanwhile has moved it.
  #locate() {
    const { start, end, original } = this.#request;
    const { value } = this.#text;
    if (!original) return { start: Math.min(start, value.length), end: Math.min(start, value.length) };
    if (value.slice(start, end) === original) return { start, end };
    const found = value.indexOf(original);
    if (found >= 0) return { start: found, end: found + original.length };
    this.#fail(gettext("The passage has changed since you selected it. Copy the suggestion, or discard it."));
    return null;
  }

  // A text that is continued goes on behind a space, where neither has one.
  #joined(start, text) {
    const before = this.#text.value.slice(0, start);
    return /\s$|^$/.test(before) ? text.trimStart() : text;
  }

  #addChoice(ways) {
    const box = document.createElement("div");
    box.className = "suggestion-choice";
    const node = document.createElement("div");
    node.className = "suggestion-text suggested";
    node.ariaBusy = "true";
    box.append(node);
    const choice = { text: "", passages: [], node };
    if (ways > 1) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button";
      button.textContent = gettext("Accept this one");
      button.hidden = true;
      button.addEventListener("click", () => this.accept(choice));
      box.append(button);
      choice.button = button;
    }
    this.#at("texts").append(box);
    return choice;
  }

  #compare(choice) {
    choice.node.ariaBusy = "false";
    if (choice.button) choice.button.hidden = !choice.text.trim();
    const { original } = this.#request;
    if (!original) choice.node.textContent = choice.text;
    else if (choice.text.trim()) choice.node.replaceChildren(...compared(original.trim(), choice.text.trim()));
  }

  #show() {
    this.#node.hidden = false;
    this.#at("heading").textContent = HEADINGS[this.#request.action];
    this.#at("error").hidden = true;
    this.#at("state").textContent = "";
    this.#at("texts").replaceChildren();
    this.#busy(false);
    this.#at("accept").hidden = true;
    this.#at("with-changes").hidden = !this.#request.original;
    this.#highlightPassage();
    this.#node.scrollIntoView({ block: "nearest" });
  }

  #close() {
    this.#node.hidden = true;
    this.#highlight.replaceChildren();
  }

  // The text loses its selection with the focus.
  #highlightPassage() {
    const { start, end, original } = this.#request;
    if (this.#text.value.slice(start, end) !== original) return;
    const mark = document.createElement("mark");
    mark.textContent = original;
    this.#highlight.replaceChildren(this.#text.value.slice(0, start), mark);
  }

  #busy(isBusy) {
    this.#at("stop").hidden = !isBusy;
    this.#at("accept").hidden = isBusy;
    this.#at("again").hidden = isBusy;
    this.#at("discard").hidden = isBusy;
  }

  #fail(sentence) {
    this.#at("error").hidden = false;
    this.#node.querySelector("[data-error] [data-sentence]").replaceChildren(...withCode(sentence));
  }

  // Enter accepts, R tries again, Escape discards; a button that has the focus does its own.
  #onKey(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      if (this.#stopper) this.#stopper.abort();
      else this.discard();
    } else if (event.target.closest("button") && event.key === "Enter") {
      return;
    } else if (event.key === "Enter" && !this.#at("accept").hidden) {
      event.preventDefault();
      this.accept(this.#choices[0]);
    } else if (event.key.toLowerCase() === "r" && !event.ctrlKey && !event.metaKey && !this.#at("again").hidden) {
      event.preventDefault();
      this.#run();
    }
  }

  #at(name) {
    return this.#node.querySelector(`[data-${name}]`);
  }
}
