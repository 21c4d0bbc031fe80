// One answer beside others: its model, the turns of its conversation, and the figures of the last one.
import { answer as ask, sentenceOf, textOf } from "../answer.js";
import { gettext, interpolate, language, withCode } from "../words.js";

const ENDINGS = { stop: gettext("Finished"), length: gettext("Stopped at the maximum length"), content_filter: gettext("Stopped by a filter") };
const NANO = 1e9;

const decimal = (number, digits) => number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const seconds = (ms) => `${decimal(ms / 1000, ms < 10_000 ? 2 : 1)} s`;
const count = (number) => number.toLocaleString(language);

export class Pane {
  #form;
  #turns = []; // {role, content}, without the system prompt
  #requestIds = []; // of the answers

  constructor(template, form) {
    this.#form = form;
    this.node = template.content.firstElementChild.cloneNode(true);
    this.select = this.#at("model");
    this.select.addEventListener("change", () => this.clear());
  }

  get model() {
    return this.select.value;
  }

  get title() {
    return this.select.selectedOptions[0]?.dataset.name ?? this.model;
  }

  get turns() {
    return this.#turns;
  }

  get requestIds() {
    return this.#requestIds;
  }

  choose(model) {
    this.select.value = model;
    if (this.select.value !== model) this.select.selectedIndex = 0;
  }

  number(position, total) {
    const label = total > 1 ? interpolate(gettext("Style {number}"), { number: position }) : gettext("Style");
    this.select.ariaLabel = label;
    this.node.ariaLabel = interpolate(gettext("Answer {number}"), { number: position });
    this.#at("remove").hidden = total === 1;
    this.#at("remove").ariaLabel = interpolate(gettext("Remove style {number}"), { number: position });
  }

  onRemove(act) {
    this.#at("remove").addEventListener("click", act);
  }

  // What the style wrote, below its name; continued answers are one text.
  asMarkdown() {
    const written = this.#turns.filter(({ role }) => role === "assistant").map(({ content }) => content);
    return `# ${this.title}\n\n${written.join("\n\n")}\n`;
  }

  // Forget the conversation: what another style wrote must not stand under this one's name.
  clear() {
    this.#turns = [];
    this.#requestIds = [];
    this.#at("text").replaceChildren();
    this.#at("state").textContent = "";
    this.#at("words").textContent = "";
    this.#at("error").hidden = true;
    this.#show({});
  }

  messages(system, prompt, isReply) {
    const before = isReply ? this.#turns : [];
    return [...(system ? [{ role: "system", content: system }] : []), ...before, { role: "user", content: prompt }];
  }

  // Send a call and write its answer; return how it ended. Never throws.
  async write(call, signal) {
    const prompt = call.messages.at(-1);
    if (!call.messages.some(({ role }) => role === "assistant")) this.clear();
    this.#show({});
    this.#at("error").hidden = true;
    const place = this.#addTurn(prompt.content);
    const began = performance.now();
    const progress = { began, first: null, last: began, usage: null, finish: null, requestId: null, watermark: "" };
    this.#at("state").textContent = gettext("Waiting for the engine");
    let ended;
    try {
      await this.#read(call, signal, place, progress);
      ended = ENDINGS[progress.finish] ?? gettext("Finished");
    } catch (error) {
      ended = error.name === "AbortError" ? gettext("Stopped by you") : gettext("Stopped by an error");
      if (error.name !== "AbortError") this.#fail(sentenceOf(error));
    }
    place.ariaBusy = "false";
    if (place.textContent) this.#addAnswer(prompt, place.textContent, progress.requestId);
    else place.parentElement.remove();
    this.#at("state").textContent = ended;
    this.#countWords();
    this.#show({ ...progress, now: performance.now() });
    return { model: call.model, text: place.textContent, ended, requestId: progress.requestId };
  }

  restore({ prompt, text, ended, requestId }) {
    this.clear();
    const place = this.#addTurn(prompt);
    place.textContent = text;
    place.ariaBusy = "false";
    if (text) this.#addAnswer({ role: "user", content: prompt }, text, requestId);
    this.#at("state").textContent = ended;
    this.#countWords();
  }

  #addAnswer(prompt, text, requestId) {
    this.#turns.push(prompt, { role: "assistant", content: text });
    if (requestId) this.#requestIds.push(requestId);
  }

  #countWords() {
    const words = [...this.#at("text").querySelectorAll(".ruled")].flatMap((place) => place.textContent.match(/\S+/g) ?? []);
    this.#at("words").textContent = interpolate(gettext("{count} words"), { count: count(words.length) });
  }

  async #read(call, signal, place, progress) {
    for await (const chunk of ask(this.#form, call, signal)) {
      const text = textOf(chunk);
      if (text) {
        progress.last = performance.now();
        if (!progress.first) {
          progress.first = progress.last;
          this.#show(progress);
        }
        this.#at("state").textContent = gettext("Writing");
        this.#append(place, text);
      }
      progress.finish = chunk.choices?.[0]?.finish_reason ?? progress.finish;
      progress.usage = chunk.usage ?? progress.usage;
      progress.requestId = chunk.requestId;
      progress.watermark = chunk.watermark ?? progress.watermark;
    }
  }

  #append(place, text) {
    const page = this.#at("text");
    const isLow = page.scrollHeight - page.scrollTop - page.clientHeight < 40;
    place.append(text);
    if (isLow) page.scrollTop = page.scrollHeight;
  }

  #addTurn(prompt) {
    const turn = document.createElement("div");
    turn.className = "turn";
    const asked = document.createElement("p");
    asked.className = "soft small turn-prompt";
    asked.textContent = prompt;
    const place = document.createElement("div");
    place.className = "ruled";
    place.ariaBusy = "true";
    turn.append(asked, place);
    this.#at("text").append(turn);
    return place;
  }

  #fail(sentence) {
    this.#at("error").hidden = false;
    this.#at("sentence").replaceChildren(...withCode(sentence));
  }

  /** @param {{began?: number, first?: number, last?: number, usage?: any, now?: number, watermark?: string}} progress */
  #show({ began, first, last, usage, now, watermark }) {
    const written = usage?.completion_tokens;
    const pace = first && last > first && written > 1 ? ((written - 1) * 1000) / (last - first) : null;
    this.#at("first-token").textContent = first ? seconds(first - began) : "–";
    this.#at("whole-time").textContent = now ? seconds(now - began) : "–";
    this.#at("pace").textContent = pace ? interpolate(gettext("{count} tokens/s"), { count: decimal(pace, 1) }) : "–";
    this.#at("tokens").textContent = usage ? interpolate(gettext("{read} in, {written} out"), { read: count(usage.prompt_tokens), written: count(written) }) : "–";
    this.#at("cost").textContent = usage ? this.#cost(usage) : "–";
    const isMarked = watermark && !watermark.startsWith("none");
    this.#at("watermark").textContent = watermark ? (isMarked ? gettext("Watermarked") : gettext("No watermark")) : "";
  }

  // By the prices of this page: what the ledger books, unless they changed since it was opened.
  #cost(usage) {
    const { input, cached, output } = this.select.selectedOptions[0].dataset;
    const hits = usage.prompt_tokens_details?.cached_tokens ?? 0;
    const nanousd = (usage.prompt_tokens - hits) * input + hits * cached + usage.completion_tokens * output;
    return (nanousd / NANO).toLocaleString(language, { style: "currency", currency: "USD", maximumFractionDigits: 9 });
  }

  #at(name) {
    return this.node.querySelector(`[data-${name}]`);
  }
}
