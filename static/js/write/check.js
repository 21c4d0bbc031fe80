// Marks the paragraphs that sound least like the style's author, and offers a rewrite of each.
import { post } from "../post.js";
import { gettext, interpolate, language } from "../words.js";

const QUOTED_WORDS = 8;

export class Check {
  #form;
  #text;
  #marks;
  #list;
  #state;

  constructor(form, { list, state, saving, onRewrite }) {
    this.#form = form;
    this.#text = form.elements.text;
    this.#marks = form.querySelector("[data-marks]");
    this.#list = list;
    this.#state = state;
    this.saving = saving;
    this.onRewrite = onRewrite;
    new ResizeObserver(() => this.#drawBars()).observe(this.#text);
    this.#text.addEventListener("input", () => this.#marks.replaceChildren()); // they would be elsewhere
  }

  async run(button) {
    button.disabled = true;
    this.#state.textContent = gettext("Checking …");
    this.#list.replaceChildren();
    try {
      await this.saving.flush();
      const { paragraphs } = await post(this.#form, this.#form.dataset.check, {});
      this.#show(paragraphs);
    } catch (problem) {
      this.#state.textContent = Object.values(problem.errors ?? { __all__: [String(problem)] }).flat().join(" ");
    }
    button.disabled = false;
  }

  #show(paragraphs) {
    this.#state.textContent = paragraphs.length
      ? gettext("These paragraphs sound least like the author:")
      : interpolate(gettext("No paragraph of {count} words or more stands out."), { count: this.#form.dataset.checkedWords });
    const text = Array.from(this.#text.value); // positions count characters, as Python does
    const found = paragraphs.map((one) => {
      const start = text.slice(0, one.start).join("").length;
      const passage = text.slice(one.start, one.end).join("");
      return { ...one, start, end: start + passage.length, passage };
    });
    this.#mark(found);
    this.#list.replaceChildren(...found.map((one, number) => this.#describe(one, number)));
  }

  #mark(found) {
    const nodes = [];
    let last = 0;
    for (const { start, end } of found) {
      const mark = document.createElement("mark");
      mark.textContent = this.#text.value.slice(start, end);
      nodes.push(this.#text.value.slice(last, start), mark);
      last = end;
    }
    this.#marks.replaceChildren(...nodes);
    this.#drawBars();
  }

  // Beside the text, as high as each mark is at this width.
  #drawBars() {
    for (const bar of this.#marks.querySelectorAll(".write-margin")) bar.remove();
    const top = this.#marks.getBoundingClientRect().top;
    for (const mark of this.#marks.querySelectorAll("mark")) {
      const box = mark.getBoundingClientRect();
      const bar = document.createElement("div");
      bar.className = "write-margin";
      bar.style.top = `${box.top - top}px`;
      bar.style.height = `${box.height}px`;
      this.#marks.append(bar);
    }
  }

  #describe({ passage, percent, reasons }, number) {
    const line = document.createElement("li");
    const quote = document.createElement("p");
    quote.className = "serif";
    quote.textContent = `${passage.trim().split(/\s+/).slice(0, QUOTED_WORDS).join(" ")} …`;
    const about = document.createElement("p");
    about.className = "soft small";
    const share = percent === null ? [] : [interpolate(gettext("{percent} like the author."), { percent: (percent / 100).toLocaleString(language, { style: "percent" }) })];
    about.textContent = [...share, ...reasons].join(" ");
    const row = document.createElement("div");
    row.className = "row";
    row.append(this.#button(gettext("Show"), () => this.#select(passage, number)), this.#button(gettext("Suggest a rewrite"), () => this.#select(passage, number) && this.onRewrite()));
    line.append(quote, about, row);
    return line;
  }

  #button(label, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  }

  // Select a paragraph, wherever it stands by now; false if it is gone.
  #select(passage, number) {
    const start = this.#text.value.indexOf(passage);
    if (start < 0) {
      this.#state.textContent = gettext("This paragraph has changed since. Check the text again.");
      return false;
    }
    this.#text.focus();
    this.#text.setSelectionRange(start, start + passage.length);
    this.#marks.querySelectorAll("mark")[number]?.scrollIntoView({ block: "center" });
    return true;
  }
}
