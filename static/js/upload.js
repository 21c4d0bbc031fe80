// Sends a style: create the version, post each file straight to storage or send large ones in parts, then
// finish. Every failure leaves what was typed, chosen and already sent in place, so that the same button goes on
// from there; what is sent in parts goes on after the page was closed, too.
import { forget } from "./draft.js";
import { Rate, Stopped, ask, duration, sendParts } from "./parts.js";
import { post } from "./post.js";
import { size, store } from "./store.js";
import { drop as dropUnfinished, isSame, recall, remember } from "./unfinished.js";

const form = document.querySelector("[data-upload]");
const picker = form.querySelector("[type=file]");
const drop = form.querySelector("[data-drop]");
const button = form.querySelector("[data-send]");
const pauseButton = form.querySelector("[data-pause]");
const status = form.querySelector("[data-status]");
const notice = form.querySelector("[data-unfinished]");
const PARTS_FROM_BYTES = 16 * 1024 * 1024;
const rows = new Map([...form.querySelectorAll("[data-file]")].map((row) => [row.dataset.file, row]));
const ARCHIVE = "archive"; // its row, and its place among the files: it has the name that its owner gave it
const names = [...rows.keys()].filter((name) => name !== ARCHIVE);
const isArchive = (file) => /\.(zip|tar|tar\.gz|tgz)$/i.test(file.name);
const files = new Map();
const sent = new Set();
let version = null;
let expired = null;
let busy = false;
let unfinished = null; // of an earlier visit: { version, fields, files }
let pausing = new AbortController();

function mark(name, state, words) {
  const row = rows.get(name);
  row.dataset.state = state;
  row.querySelector(".state").textContent = words;
  row.querySelector("progress").hidden = state !== "sending";
  row.querySelector(".field-error").hidden = true;
}

function fault(name, sentence) {
  mark(name, "failed", "not sent");
  const line = rows.get(name).querySelector(".field-error");
  line.textContent = sentence;
  line.hidden = false;
}

function say(field, sentences) {
  const place = form.querySelector(`[data-error-for="${CSS.escape(field)}"]`) ?? form.querySelector("[data-error-for=__all__]");
  place.replaceChildren(...sentences.map((sentence) => {
    const line = document.createElement("p");
    if (place.dataset.errorFor !== "__all__") line.className = "field-error";
    line.textContent = sentence;
    return line;
  }));
  if (place.dataset.errorFor === "__all__") place.hidden = !sentences.length;
  form.elements[field]?.setAttribute?.("aria-invalid", String(sentences.length > 0));
}

function clear() {
  for (const place of form.querySelectorAll("[data-error-for]")) say(place.dataset.errorFor, []);
}

function choose(chosen) {
  say("files", []);
  const archives = chosen.filter(isArchive);
  if (archives.length && chosen.length > 1) return say("files", ["Choose either one archive or the two files, not both."]);
  const strangers = chosen.filter((file) => !names.includes(file.name) && !isArchive(file)).map((file) => file.name);
  if (archives.length) files.clear();
  else if (chosen.length > strangers.length) files.delete(ARCHIVE);
  for (const file of chosen.filter((one) => !strangers.includes(one.name))) take(archives.length ? ARCHIVE : file.name, file);
  goOnWithUnfinished();
  show();
  if (strangers.length) say("files", [`${strangers.join(", ")} is not one of the two files. Rename it, or choose ${names.join(" and ")}, or an archive of them.`]);
}

function take(name, file) {
  files.set(name, file);
  [expired, version] = [version ?? expired, null]; // other bytes are another version
  mark(name, "here", size(file.size));
}

function show() {
  for (const [name, row] of rows) row.hidden = files.has(ARCHIVE) !== (name === ARCHIVE);
  for (const name of names.filter((one) => !files.has(one))) mark(name, "missing", "not chosen");
  form.querySelector("[data-archive-name]").textContent = files.get(ARCHIVE)?.name ?? "";
}

// The same files as in an earlier visit go on with that upload; others begin a new one.
function goOnWithUnfinished() {
  if (!unfinished) return;
  const chosen = [...files.values()];
  const isOther = chosen.some((file) => !isSame(unfinished, file));
  const isResumed = !isOther && chosen.length === unfinished.files.length;
  if (isResumed) {
    [version, expired] = [unfinished.version, null];
    for (const [field, value] of Object.entries(unfinished.fields)) if (form.elements[field]) form.elements[field].value = value;
    button.textContent = "Go on";
  } else if (isOther) {
    expired = unfinished.version; // cancelled when the new one begins
  }
  notice.querySelector("[data-same]").hidden = !isResumed;
  notice.querySelector("[data-other]").hidden = !isOther;
}

async function showUnfinished() {
  unfinished = recall();
  if (!unfinished) return;
  try {
    const upload = await ask(unfinished.version.status);
    if (upload.status !== "uploading") throw { status: 404 };
    notice.querySelector("[data-model]").textContent = upload.model;
    notice.querySelector("[data-names]").textContent = unfinished.files.map(({ name }) => name).join(" and ");
    notice.hidden = false;
  } catch (problem) {
    if (problem.status === 404) endUnfinished(); // finished, cancelled, or of another account
  }
}

function endUnfinished() {
  unfinished = null;
  notice.hidden = true;
  dropUnfinished();
}

async function discardUnfinished() {
  await post(form, unfinished.version.cancel, {}).catch(() => {}); // else it ends by itself after a day
  if (version === unfinished.version) version = null;
  expired = null;
  button.textContent = "Upload and check";
  endUnfinished();
}

function complete() {
  clear();
  for (const field of form.querySelectorAll("[data-draft]")) {
    if (!field.validity.valid) {
      const slugLike = field.validity.patternMismatch;
      say(field.name, [slugLike ? "Use small letters, digits and single hyphens, for example noir-detective." : "Fill this in."]);
    }
  }
  const missing = files.has(ARCHIVE) ? [] : names.filter((name) => !files.has(name));
  if (missing.length) say("files", [`Still missing: ${missing.join(" and ")}.`]);
  const bytes = [...files.values()].reduce((sum, file) => sum + file.size, 0);
  const most = Number(files.has(ARCHIVE) ? form.dataset.maxArchiveBytes : form.dataset.maxBytes);
  if (bytes > most) say("files", [`Together that is ${size(bytes)}; at most ${size(most)} are taken. Train with a smaller rank or save in bfloat16.`]);
  return focusFirstError();
}

function focusFirstError() {
  const wrong = form.querySelector("[aria-invalid=true]") ?? (form.querySelector("#files_error:not(:empty)") ? picker : null);
  wrong?.focus();
  return !wrong;
}

async function create() {
  if (expired) await post(form, expired.cancel, {}).catch(() => {}); // else it stays open for a day
  expired = null;
  const fields = fieldsOf();
  fields.files = [...files.values()].map((file) => ({ name: file.name, size: file.size }));
  const isLarge = [...files.values()].some((file) => file.size >= PARTS_FROM_BYTES);
  version = await post(form, form.action, { ...fields, method: isLarge ? "multipart" : "post" });
  sent.clear();
  endUnfinished();
  if (isLarge) remember(version, fieldsOf(), [...files.values()]);
}

function fieldsOf() {
  return Object.fromEntries([...form.querySelectorAll("[data-draft]")].map((field) => [field.name, field.value.trim()]));
}

async function deliver(upload) {
  const name = files.has(ARCHIVE) ? ARCHIVE : upload.file;
  mark(name, "sending", "0 kB");
  try {
    await store(upload, files.get(name), (loaded, total) => {
      rows.get(name).querySelector("progress").value = (100 * loaded) / total;
      rows.get(name).querySelector(".state").textContent = `${size(loaded)} of ${size(total)}`;
    });
  } catch (refusal) {
    if (refusal.expired) [expired, version] = [version, null]; // the next press asks for a new permission
    fault(name, refusal.message);
    throw refusal;
  }
  sent.add(upload.file);
  mark(name, "sent", `${size(files.get(name).size)}, sent`);
}

async function deliverParts() {
  const nameOf = (name) => (files.has(ARCHIVE) ? ARCHIVE : name);
  const rates = new Map();
  pausing = new AbortController();
  pauseButton.hidden = false;
  status.textContent = "Sending";
  const progress = (file, loaded, total) => {
    const name = nameOf(file);
    if (loaded >= total) return mark(name, "sent", `${size(total)}, sent`);
    if (rows.get(name).dataset.state !== "sending") mark(name, "sending", "");
    if (!rates.has(name)) rates.set(name, new Rate());
    const rate = rates.get(name);
    rate.add(loaded);
    const left = rate.secondsLeft(total - loaded);
    const words = [`${size(loaded)} of ${size(total)}`];
    if (left !== null) words.push(`${size(rate.bytesPerSecond())}/s`, duration(left));
    rows.get(name).querySelector("progress").value = (100 * loaded) / total;
    rows.get(name).querySelector(".state").textContent = words.join(" · ");
  };
  try {
    await sendParts(version.status, (name) => files.get(nameOf(name)), progress, pausing.signal);
  } finally {
    pauseButton.hidden = true;
    for (const row of rows.values()) row.querySelector(".state").textContent = row.querySelector(".state").textContent.split(" · ")[0]; // no rate while nothing is sent
  }
}

async function send() {
  if (!version) await create();
  if (version.status) await deliverParts();
  for (const upload of version.uploads.filter(({ file }) => !sent.has(file))) {
    status.textContent = `Sending ${files.get(ARCHIVE)?.name ?? upload.file}`;
    await deliver(upload);
  }
  status.textContent = "Asking for the check";
  await post(form, version.finish, {});
  busy = false;
  forget();
  endUnfinished();
  location.assign(version.page);
}

async function submit(event) {
  event.preventDefault();
  if (busy || !complete()) return;
  busy = true;
  button.disabled = true;
  status.textContent = "Preparing";
  try {
    await send();
  } catch (error) {
    const isPaused = error instanceof Stopped;
    const hasEnded = error.status === 404; // it was cancelled elsewhere
    const sentences = error.errors ?? {};
    if (hasEnded) sentences.__all__ = "That upload has ended meanwhile. Press “Go on” to begin anew.";
    else if (version?.status && !isPaused && !error.errors) sentences.__all__ = error.message;
    if (hasEnded) version = null;
    for (const [field, said] of Object.entries(sentences)) say(field, [said].flat());
    button.textContent = "Go on";
    status.textContent = isPaused ? "Paused. What arrived is not sent again." : "Stopped. Nothing you typed or sent is lost.";
    button.disabled = busy = false;
    focusFirstError();
  }
}

form.addEventListener("submit", submit);
pauseButton.addEventListener("click", () => pausing.abort());
notice.querySelector("[data-discard]").addEventListener("click", discardUnfinished);
picker.addEventListener("change", () => choose([...picker.files]));
for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.dataset.over = ""; });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => delete drop.dataset.over);
drop.addEventListener("drop", (event) => { event.preventDefault(); choose([...event.dataTransfer.files]); });
addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
showUnfinished();
