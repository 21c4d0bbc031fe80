// Saves a draft half a second after the last key. What can't be saved stays in this browser until it can.
import { gettext } from "../words.js";

const PAUSE_MS = 500;
const RETRY_MS = 4000;
const MOST_WAIT_MS = 20_000; // for an answer
const MOST_KEPT_ALIVE = 60_000; // bytes that a browser still sends once its page is gone
const SAVED = gettext("Saved");
const AWAY = gettext("Not saved yet: we can’t reach Polyscribe. Your text is kept in this browser.");
const LOGGED_OUT = gettext("You were logged out. Log in in another tab, and saving goes on by itself. Your text is kept in this browser.");

const isSame = (one, other) => one?.title === other?.title && one?.text === other?.text;

export class Saving {
  #form;
  #state;
  #key;
  #timer = 0;
  #running = null;
  #isStopped = false; // by a conflict, until a person has chosen
  #saved;
  #passages = []; // accepted ones that aren't saved yet
  #replaces = false; // a newer text, as a person has decided
  #sent = []; // the first and the last text of those whose answer never came: they may be saved

  constructor(form, state) {
    this.#form = form;
    this.#state = state;
    this.#key = `draft-text:${form.dataset.id}:${Date.now()}-${Math.random()}`; // each tab's own
    const { title, text } = form.elements;
    this.#saved = { title: title.defaultValue, text: text.defaultValue }; // who types before this runs isn't saved
    this.#recover();
    if (this.isSaved) this.#state.textContent = SAVED;
    else this.touch();
    form.addEventListener("input", ({ target }) => { if (target.name) this.touch(); });
    form.addEventListener("submit", (event) => { event.preventDefault(); this.flush(); });
    addEventListener("online", () => this.flush());
    addEventListener("visibilitychange", () => { if (document.hidden) this.flush(); });
  }

  onConflict = (_newest, _sentence) => {};

  get isSaved() {
    return isSame(this.#now(), this.#saved) && !this.#passages.length;
  }

  touch() {
    clearTimeout(this.#timer);
    this.#state.textContent = this.#isStopped ? gettext("Not saved") : gettext("Saving …");
    this.#timer = setTimeout(() => this.flush(), PAUSE_MS);
  }

  // Save what is there, with passages as an accepted suggestion. One at a time: a revision follows from the one before.
  async flush(passages = []) {
    clearTimeout(this.#timer);
    this.#passages.push(...passages);
    if (!this.isSaved) this.#remember(); // whatever becomes of the request, or of one before
    while (this.#running) await this.#running;
    if (this.#isStopped || this.isSaved) return;
    this.#running = this.#save().finally(() => { this.#running = null; });
    await this.#running;
  }

  // After a conflict: replace the newer text with the one that stands here. The newer one goes into the history.
  replace(revision) {
    this.#form.elements.revision.value = revision;
    this.#isStopped = false;
    this.#replaces = true;
    return this.flush();
  }

  // After a conflict: go on with the newer text. What stood here is in the draft's history.
  take({ revision, title, text }) {
    Object.assign(this.#form.elements.revision, { value: revision });
    this.#form.elements.title.value = title;
    this.#form.elements.text.value = text;
    this.#isStopped = false;
    this.#saved = { title, text };
    this.#passages = [];
    this.#forget(this.#key);
    this.#state.textContent = SAVED;
  }

  // Wait until another form of this page can be sent: as saving does, for a connection and a log-in.
  async untilLoggedIn() {
    await this.flush();
    const problem = () => this.#renewTokens().then((isLoggedIn) => (isLoggedIn ? "" : LOGGED_OUT), () => AWAY);
    for (let sentence = await problem(); sentence; sentence = await problem()) {
      this.#state.textContent = sentence;
      await new Promise((done) => { setTimeout(done, RETRY_MS); });
    }
    await this.flush();
  }

  #now() {
    const { title, text } = this.#form.elements;
    return { title: title.value, text: text.value };
  }

  async #save() {
    const { title, text } = this.#now();
    const passages = [...this.#passages];
    this.#state.textContent = gettext("Saving …");
    const unanswered = this.#sent;
    this.#sent = [unanswered[0] ?? { title, text }, { title, text }];
    this.#remember();
    const revision = Number(this.#form.elements.revision.value);
    const body = JSON.stringify({ title, text, revision, passages, replaces: this.#replaces });
    let response;
    try {
      response = await this.#post(body);
    } catch {
      return this.#later(AWAY);
    }
    const answer = await response.json().catch(() => ({}));
    if (response.ok || response.status === 409) this.#sent = [];
    if (response.ok) {
      this.#form.elements.revision.value = answer.revision;
      this.#saved = { title, text };
      this.#replaces = false;
      this.#passages.splice(0, passages.length);
      if (this.isSaved) {
        this.#forget(this.#key);
        this.#state.textContent = SAVED;
      } else this.touch();
      return undefined;
    }
    if (response.status === 409 && [...unanswered, { title, text }].some((one) => isSame(one, answer))) { // it is this page's own
      this.#form.elements.revision.value = answer.revision;
      return this.#save();
    }
    if (response.status === 404) {
      this.#isStopped = true;
      this.#state.textContent = gettext("This draft was deleted, or isn’t shared with you any more. Copy your text before you leave.");
      return undefined;
    }
    if (response.status === 409) {
      this.#isStopped = true;
      this.#state.textContent = gettext("Not saved");
      this.onConflict(answer, answer.errors.__all__[0]);
      return undefined;
    }
    const sentence = Object.values(answer.errors ?? {}).flat().join(" ");
    return this.#later(sentence || gettext("Not saved yet. Your text is kept in this browser, and we try again."));
  }

  // A log-in in another tab makes new tokens: this page takes over the new one.
  async #post(body) {
    const send = () => {
      const headers = { "Content-Type": "application/json", "X-CSRFToken": this.#form.elements.csrfmiddlewaretoken.value, Accept: "application/json" };
      const keepalive = document.hidden && new Blob([body]).size < MOST_KEPT_ALIVE; // with more, it isn't sent at all
      return fetch(this.#form.dataset.save, { method: "POST", headers, body, redirect: "manual", keepalive, signal: AbortSignal.timeout(MOST_WAIT_MS) });
    };
    const response = await send();
    if (response.status !== 403 && response.type !== "opaqueredirect") return response;
    if (await this.#renewTokens()) return send();
    return new Response(JSON.stringify({ errors: { __all__: [LOGGED_OUT] } }), { status: 401 });
  }

  // Return whether somebody is logged in.
  async #renewTokens() {
    const page = await fetch(location.pathname, { redirect: "manual" });
    if (!page.ok && page.status !== 404) return false; // 404: the draft is gone, and nobody was logged out
    const token = new DOMParser().parseFromString(await page.text(), "text/html").querySelector("[name=csrfmiddlewaretoken]");
    for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.value = token?.value ?? "";
    return true;
  }

  #later(sentence) {
    this.#state.textContent = sentence;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.flush(), RETRY_MS);
  }

  #remember() {
    try {
      const revision = Number(this.#form.elements.revision.value);
      localStorage.setItem(this.#key, JSON.stringify({ ...this.#now(), revision, passages: this.#passages, sent: this.#sent }));
    } catch { /* a browser that keeps nothing, or whose room is used up: the page still has the text */ }
  }

  #forget(key) {
    try { localStorage.removeItem(key); } catch { /* nothing is kept */ }
  }

  // What a closed tab couldn't save: it is put back, and saved or refused by its revision like any other.
  #recover() {
    const prefix = `draft-text:${this.#form.dataset.id}:`;
    try {
      for (const key of Object.keys(localStorage).filter((one) => one.startsWith(prefix))) {
        const kept = JSON.parse(localStorage.getItem(key));
        this.#forget(key);
        if (isSame(kept, this.#saved)) continue;
        this.#form.elements.title.value = kept.title;
        this.#form.elements.text.value = kept.text;
        if (!kept.sent.some((one) => isSame(one, this.#saved))) this.#form.elements.revision.value = kept.revision;
        this.#passages = kept.passages;
        this.#remember();
        return; // another tab's comes next time
      }
    } catch { /* nothing is kept */ }
  }
}
