// One answer beside others: its model, the turns of its conversation, and the figures of the last one.
import { answer as ask, goOnUntil, sentenceOf, textOf } from "../answer.js";
import { countWords, gettext, interpolate, language, withCode } from "../words.js";

const ENDINGS = { stop: gettext("Finished"), length: gettext("Stopped at the maximum length"), content_filter: gettext("Stopped by a filter") };
const NANO = 1e9;
const TOKENS_PER_WORD = 1.6;

const decimal = (number, digits) => number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const seconds = (ms) => `${decimal(ms / 1000, ms < 10_000 ? 2 : 1)} s`;
const count = (number) => number.toLocaleString(language);

export class Pane {
  #form;
  #turns = []; // {role, content}, without the system prompt
  #written = []; // of each answer, its passages: {requestId, text}, one for each request that wrote it
  prompt = ""; // of the last answer, as it was typed

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

  get passages() {
    return this.#written.flat().filter(({ text }) => text.trim());
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
    this.#written = [];
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
  // One that must have some words goes on until it has them.
  async write(call, signal, { shown, leastWords = 0 }) {
    const prompt = call.messages.at(-1);
    this.prompt = shown;
    if (!call.messages.some(({ role }) => role === "assistant")) this.clear();
    this.#show({});
    this.#at("error").hidden = true;
    const place = this.#addTurn(shown);
    const passages = [];
    const answer = await this.#stream(place, passages, async (progress) => {
      await this.#read(call, signal, place, progress);
      await goOnUntil(leastWords, () => countWords(place.textContent), (words) => {
        const room = Math.ceil(words * TOKENS_PER_WORD);
        return this.#read(continued(call, place.textContent, room), signal, place, progress);
      });
    });
    if (place.textContent) {
      this.#turns.push(prompt, { role: "assistant", content: place.textContent });
      this.#written.push(passages);
    } else place.parentElement.remove();
    return { model: call.model, ...answer };
  }

  // Go on with the last answer where it stopped. Never throws.
  async goOn(call, signal) {
    const place = [...this.#at("text").querySelectorAll(".ruled")].at(-1);
    const last = this.#turns.at(-1);
    const answer = await this.#stream(place, this.#written.at(-1), (progress) => this.#read(continued(call, last.content), signal, place, progress));
    last.content = place.textContent;
    return { model: call.model, ...answer };
  }

  // Show what a work streams into a place, and how it ended.
  async #stream(place, passages, work) {
    const began = performance.now();
    const progress = { began, first: null, last: began, usage: null, finish: null, passages, watermark: "" };
    this.#at("error").hidden = true;
    this.#at("state").textContent = gettext("Waiting for the engine");
    place.ariaBusy = "true";
    let ended;
    try {
      await work(progress);
      ended = ENDINGS[progress.finish] ?? gettext("Finished");
    } catch (error) {
      ended = error.name === "AbortError" ? gettext("Stopped by you") : gettext("Stopped by an error");
      if (error.name !== "AbortError") this.#fail(sentenceOf(error));
    }
    place.ariaBusy = "false";
    this.#at("state").textContent = ended;
    this.#countWords();
    this.#show({ ...progress, now: performance.now() });
    return { text: place.textContent, ended, passages };
  }

  restore({ prompt, text, ended, passages = [{ requestId: "", text }] }) {
    this.clear();
    this.prompt = prompt;
    const place = this.#addTurn(prompt);
    place.textContent = text;
    place.ariaBusy = "false";
    if (text) {
      this.#turns.push({ role: "user", content: prompt }, { role: "assistant", content: text });
      this.#written.push([...passages]);
    }
    this.#at("state").textContent = ended;
    this.#countWords();
  }

  #countWords() {
    const places = [...this.#at("text").querySelectorAll(".ruled")];
    const words = places.reduce((sum, place) => sum + countWords(place.textContent), 0);
    this.#at("words").textContent = interpolate(gettext("{count} words"), { count: count(words) });
  }

  async #read(call, signal, place, progress) {
    const passage = { requestId: "", text: "" };
    let requestId = "";
    progress.passages.push(passage);
    for await (const chunk of ask(this.#form, call, signal)) {
      const text = textOf(chunk);
      requestId = chunk.requestId ?? "";
      passage.text += text;
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
      if (chunk.usage) progress.usage = added(progress.usage, chunk.usage);
      progress.watermark = chunk.watermark ?? progress.watermark;
    }
    passage.requestId = requestId; // one that breaks off has no receipt
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

// The same call, whose last message is an answer to go on with.
function continued(call, text, tokens = call.max_tokens) {
  const messages = [...call.messages, { role: "assistant", content: text }];
  return { ...call, messages, continues: true, max_tokens: Math.min(call.max_tokens, tokens) };
}

// What two requests used together.
function added(sum, usage) {
  if (!sum) return usage;
  const cached = (one) => one.prompt_tokens_details?.cached_tokens ?? 0;
  return {
    prompt_tokens: sum.prompt_tokens + usage.prompt_tokens,
    completion_tokens: sum.completion_tokens + usage.completion_tokens,
    prompt_tokens_details: { cached_tokens: cached(sum) + cached(usage) },
  };
}
