// Sends a style: create the version, post each file straight to storage or send large ones in parts, then
// finish. Every failure leaves what was typed, chosen and already sent in place, so that the same button goes on
// from there; what is sent in parts goes on after the page was closed, too.
import { forget } from "./draft.js";
import { adapterFiles, droppedFiles } from "./folder.js";
import { Rate, Stopped, ask, duration, sendParts } from "./parts.js";
import { post } from "./post.js";
import { precheck } from "./precheck.js";
import { store } from "./store.js";
import { describeUpload, drop as dropUnfinished, isSame, recall, remember } from "./unfinished.js";
import { gettext, interpolate, joinAnd, joinOr, size, withCode } from "./words.js";

const form = document.querySelector("[data-upload]");
const picker = form.querySelector("#files");
const folderPicker = form.querySelector("#folder");
const drop = form.querySelector("[data-drop]");
const button = form.querySelector("[data-send]");
const pauseButton = form.querySelector("[data-pause]");
const status = form.querySelector("[data-status]");
const notice = form.querySelector("[data-unfinished]");
const offer = form.querySelector("[data-same]");
const PARTS_FROM_BYTES = 16 * 1024 * 1024;
const SENDING = gettext("Files are being uploaded. Wait or pause before you choose others.");
const rows = new Map([...form.querySelectorAll("[data-file]")].map((row) => [row.dataset.file, row]));
const ARCHIVE = "archive"; // its row, and its place among the files: it has the name that its owner gave it
const names = [...rows.keys()].filter((name) => name !== ARCHIVE);
const PICKLE = /\.(bin|pt|pth|pkl|ckpt)$/i;
const isArchive = (file) => /\.(zip|tar|tar\.gz|tgz)$/i.test(file.name);
const files = new Map();
const checks = new Map(); // name → the check of its file, which ends with a sentence or ""
const sent = new Set();
let version = null;
let expired = null; // an upload that this page began and no longer needs: cancelled when the next one begins
let begun = null; // what `version` was begun with, as unfinished.js describes it
let declined = null; // an upload that its owner would rather not go on with
let typed = null; // what stood in the fields before an earlier upload's words came into them
let busy = false;
let unfinished = []; // of earlier visits and other tabs, as far as the studio still takes them
let pausing = new AbortController();

function mark(name, state, words) {
  const row = rows.get(name);
  row.dataset.state = state;
  row.querySelector(".state").textContent = words;
  row.querySelector("progress").hidden = state !== "sending";
  row.querySelector(".field-error").hidden = true;
}

function fault(name, sentence) {
  mark(name, "failed", gettext("not uploaded"));
  const line = rows.get(name).querySelector(".field-error");
  line.replaceChildren(...withCode(sentence));
  line.hidden = false;
}

function say(field, sentences) {
  const place = form.querySelector(`[data-error-for="${CSS.escape(field)}"]`) ?? form.querySelector("[data-error-for=__all__]");
  place.replaceChildren(...sentences.map((sentence) => {
    const line = document.createElement("p");
    if (place.dataset.errorFor !== "__all__") line.className = "field-error";
    line.append(...withCode(sentence));
    return line;
  }));
  if (place.dataset.errorFor === "__all__") place.hidden = !sentences.length;
  form.elements[field]?.setAttribute?.("aria-invalid", String(sentences.length > 0));
}

function clear() {
  for (const place of form.querySelectorAll("[data-error-for]")) say(place.dataset.errorFor, []);
}

function choose(chosen) {
  if (busy) return say("files", [SENDING]);
  say("files", []);
  const archives = chosen.filter(isArchive);
  if (archives.length && chosen.length > 1) return say("files", [gettext("Choose either one archive or the two files, not both.")]);
  const strangers = chosen.filter((file) => !names.includes(file.name) && !isArchive(file)).map((file) => file.name);
  if (archives.length) files.clear();
  else if (chosen.length > strangers.length) files.delete(ARCHIVE);
  for (const file of chosen.filter((one) => !strangers.includes(one.name))) take(archives.length ? ARCHIVE : file.name, file);
  goOnWithSame();
  show();
  if (strangers.length) say("files", strangers.map(explain));
}

// A pickle runs code when it is opened, so renaming one does not help: it must be saved anew.
function explain(name) {
  if (PICKLE.test(name)) return interpolate(gettext("{name} is a pickle file, which we never open. Save the adapter again with PEFT’s save_pretrained(…, safe_serialization=True) and choose the new files."), { name });
  return interpolate(gettext("{name} isn’t one of the two files. Choose {names} as PEFT writes them, or an archive of them."), { name, names: joinAnd(names) });
}

function take(name, file) {
  files.set(name, file);
  mark(name, "here", size(file.size));
  const check = precheck(name === ARCHIVE ? file.name : name, file);
  checks.set(name, check);
  check.then((sentence) => { if (sentence && files.get(name) === file) fault(name, sentence); });
}

// Return whether no chosen file is known to be wrong. What is wrong stands beside each file.
async function isSound() {
  const found = await Promise.all([...files.keys()].map((name) => checks.get(name)));
  if (!found.some(Boolean)) return true;
  say("files", [gettext("Nothing was uploaded. Replace the files marked below.")]);
  picker.focus();
  return false;
}

const byDepth = (one, other) => one.webkitRelativePath.split("/").length - other.webkitRelativePath.split("/").length;

function chooseFolder(found) {
  const chosen = adapterFiles(found, names, isArchive);
  const pickle = found.find((file) => PICKLE.test(file.name));
  if (pickle && chosen.length < names.length) chosen.push(pickle); // it says why that is not taken
  if (chosen.length) choose(chosen);
  else say("files", [interpolate(gettext("That folder doesn’t contain {names}. Choose the folder written by PEFT’s save_pretrained(…)."), { names: joinOr(names) })]);
}

function show() {
  for (const [name, row] of rows) row.hidden = files.has(ARCHIVE) !== (name === ARCHIVE);
  for (const name of names.filter((one) => !files.has(one))) mark(name, "missing", gettext("not selected"));
  form.querySelector("[data-chosen]").textContent = files.size ? joinAnd([...files.values()].map(({ name }) => name)) : gettext("No file chosen");
  form.querySelector("[data-archive-name]").textContent = files.get(ARCHIVE)?.name ?? "";
}

// The same files go on with the upload that was begun with them, here, in another tab or in an earlier visit.
function goOnWithSame() {
  const chosen = [...files.values()];
  if (begun && isSame(begun, chosen)) return;
  if (version && !unfinished.includes(begun)) expired = begun; // other bytes are another version
  [version, begun] = [null, null];
  sent.clear();
  if (expired && isSame(expired, chosen)) { // the files of before, after others were chosen by mistake
    [version, begun, expired] = [expired.version, expired, null];
    offer.hidden = true;
    button.textContent = gettext("Continue");
    return;
  }
  const known = unfinished.filter((one) => one !== declined && isSame(one, chosen));
  const slug = form.elements.slug.value.trim();
  const same = known.find((one) => one.fields.slug === slug) ?? known[0];
  offer.hidden = !same;
  button.textContent = same ? gettext("Continue") : gettext("Upload and check");
  if (!same) return;
  [version, begun] = [same.version, same];
  typed = fieldsOf();
  fill(same.fields);
  offer.querySelector("[data-model]").textContent = same.model;
}

function fill(fields) {
  for (const [field, value] of Object.entries(fields)) if (form.elements[field]) form.elements[field].value = value;
}

function beginAnew() {
  [declined, version, begun] = [begun, null, null];
  if (typed) fill(typed);
  offer.hidden = true;
  button.textContent = gettext("Upload and check");
}

async function showUnfinished() {
  const known = await Promise.all(recall().map(look));
  unfinished = known.filter(Boolean);
  listUnfinished();
  if (files.size && !version) goOnWithSame(); // files were chosen before the studio answered
}

// Returns an upload with its version's name; null for one that was finished or cancelled, or is another account's.
async function look(upload) {
  try {
    const found = await ask(upload.version.status);
    if (found.status === "uploading") return { ...upload, model: found.model };
  } catch (problem) {
    if (problem.status !== 404) return null; // the studio is away: it is offered by the next visit
  }
  dropUnfinished(upload);
  return null;
}

function listUnfinished() {
  const one = notice.querySelector("template");
  const lines = unfinished.map((upload) => {
    const line = one.content.cloneNode(true);
    line.querySelector("[data-model]").textContent = upload.model;
    line.querySelector("[data-names]").textContent = joinAnd(upload.files.map(({ name }) => name));
    const discard = line.querySelector("[data-discard]");
    discard.append(` ${upload.model}`);
    discard.addEventListener("click", () => discardUnfinished(upload));
    return line;
  });
  notice.replaceChildren(one, ...lines);
  notice.hidden = !lines.length;
}

function endUpload(upload) {
  dropUnfinished(upload);
  unfinished = unfinished.filter((one) => one.version.version !== upload.version.version);
  listUnfinished();
}

async function discardUnfinished(upload) {
  if (busy && begun === upload) return say("files", [SENDING]);
  await post(form, upload.version.cancel, {}).catch(() => {}); // else it ends by itself after a day
  endUpload(upload);
  if (begun !== upload) return;
  [version, begun] = [null, null];
  offer.hidden = true;
  button.textContent = gettext("Upload and check");
}

function complete() {
  clear();
  for (const field of form.querySelectorAll("[data-draft]")) {
    if (!field.validity.valid) {
      const slugLike = field.validity.patternMismatch;
      say(field.name, [slugLike ? gettext("Use lowercase letters, digits and single hyphens, for example noir-detective.") : gettext("This field is required.")]);
    }
  }
  const missing = files.has(ARCHIVE) ? [] : names.filter((name) => !files.has(name));
  if (missing.length) say("files", [interpolate(gettext("Still missing: {names}."), { names: joinAnd(missing) })]);
  const bytes = [...files.values()].reduce((sum, file) => sum + file.size, 0);
  const most = Number(files.has(ARCHIVE) ? form.dataset.maxArchiveBytes : form.dataset.maxBytes);
  if (bytes > most) say("files", [interpolate(gettext("The files are {size} together, but the limit is {limit}. Train with a smaller rank or save in bfloat16."), { size: size(bytes), limit: size(most) })]);
  return focusFirstError();
}

function focusFirstError() {
  const wrong = form.querySelector("[aria-invalid=true]") ?? (form.querySelector("#files_error:not(:empty)") ? picker : null);
  wrong?.focus();
  return !wrong;
}

async function create() {
  if (expired) {
    await post(form, expired.version.cancel, {}).catch(() => {}); // else it stays open for a day
    endUpload(expired);
    expired = null;
  }
  const fields = fieldsOf();
  fields.files = [...files.values()].map((file) => ({ name: file.name, size: file.size }));
  const isLarge = [...files.values()].some((file) => file.size >= PARTS_FROM_BYTES);
  version = await post(form, form.action, { ...fields, method: isLarge ? "multipart" : "post" });
  sent.clear();
  begun = describeUpload(version, fieldsOf(), [...files.values()]);
  if (isLarge) remember(begun);
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
      rows.get(name).querySelector(".state").textContent = interpolate(gettext("{done} of {total}"), { done: size(loaded), total: size(total) });
    });
  } catch (refusal) {
    if (refusal.expired) [expired, version, begun] = [begun, null, null]; // the next press asks for a new permission
    fault(name, refusal.message);
    throw refusal;
  }
  sent.add(upload.file);
  mark(name, "sent", interpolate(gettext("{size}, uploaded"), { size: size(files.get(name).size) }));
}

async function deliverParts() {
  const nameOf = (name) => (files.has(ARCHIVE) ? ARCHIVE : name);
  const rates = new Map();
  pausing = new AbortController();
  pauseButton.hidden = false;
  status.textContent = gettext("Uploading");
  const progress = (file, loaded, total) => {
    const name = nameOf(file);
    if (loaded >= total) return mark(name, "sent", interpolate(gettext("{size}, uploaded"), { size: size(total) }));
    if (rows.get(name).dataset.state !== "sending") mark(name, "sending", "");
    if (!rates.has(name)) rates.set(name, new Rate());
    const rate = rates.get(name);
    rate.add(loaded);
    const left = rate.secondsLeft(total - loaded);
    const words = [interpolate(gettext("{done} of {total}"), { done: size(loaded), total: size(total) })];
    if (left !== null) words.push(`${size(rate.bytesPerSecond())}/s`, duration(left));
    rows.get(name).querySelector("progress").value = (100 * loaded) / total;
    rows.get(name).querySelector(".state").textContent = words.join(" · ");
  };
  try {
    await alone(version.version, () => sendParts(version.status, (name) => files.get(nameOf(name)), progress, pausing.signal));
  } finally {
    pauseButton.hidden = true;
    for (const row of rows.values()) row.querySelector(".state").textContent = row.querySelector(".state").textContent.split(" · ")[0]; // no rate while nothing is sent
  }
}

// Two tabs do not send the same parts at once. Where the browser has no locks, what arrives twice does no harm.
function alone(id, work) {
  if (!navigator.locks) return work();
  return navigator.locks.request(`upload ${id}`, { ifAvailable: true }, (lock) => {
    if (lock) return work();
    throw new Error(gettext("Another tab is running this upload. Let it finish there, or pause it there and select “Continue” here."));
  });
}

async function send() {
  if (!version) await create();
  if (version.status) await deliverParts();
  for (const upload of version.uploads.filter(({ file }) => !sent.has(file))) {
    status.textContent = interpolate(gettext("Uploading {name}"), { name: files.get(ARCHIVE)?.name ?? upload.file });
    await deliver(upload);
  }
  status.textContent = gettext("Requesting the check");
  await post(form, version.finish, {});
  busy = false;
  forget();
  dropUnfinished(begun);
  location.assign(version.page);
}

async function submit(event) {
  event.preventDefault();
  if (busy || !complete()) return;
  button.disabled = busy = true;
  if (!(await isSound())) {
    button.disabled = busy = false;
    return;
  }
  status.textContent = gettext("Preparing");
  try {
    await send();
  } catch (error) {
    const isPaused = error instanceof Stopped;
    const hasEnded = Boolean(version) && [404, 409].includes(error.status); // it was cancelled elsewhere
    const sentences = error.errors ?? {};
    if (hasEnded) sentences.__all__ = gettext("That upload was cancelled in another tab or by a program, and its files were deleted. Select “Upload and check” to upload them again.");
    else if (version?.status && !isPaused && !error.errors) sentences.__all__ = error.message;
    if (hasEnded) {
      endUpload(begun);
      offer.hidden = true;
      [version, begun] = [null, null];
    }
    for (const [field, said] of Object.entries(sentences)) say(field, [said].flat());
    button.textContent = hasEnded ? gettext("Upload and check") : gettext("Continue");
    status.textContent = isPaused ? gettext("Paused. You can resume where it stopped.") : hasEnded ? gettext("Stopped. Nothing you entered is lost.") : gettext("Stopped. Nothing you entered or uploaded is lost.");
    button.disabled = busy = false;
    focusFirstError();
  }
}

form.addEventListener("submit", submit);
pauseButton.addEventListener("click", () => pausing.abort());
offer.querySelector("[data-anew]").addEventListener("click", beginAnew);
picker.addEventListener("change", () => choose([...picker.files]));
for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.dataset.over = ""; });
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => delete drop.dataset.over);
drop.addEventListener("drop", async (event) => {
  event.preventDefault();
  const { files: found, isFolder } = await droppedFiles(event.dataTransfer);
  if (isFolder) chooseFolder(found);
  else choose(found);
});
folderPicker.addEventListener("change", () => { if (folderPicker.files.length) chooseFolder([...folderPicker.files].sort(byDepth)); });
addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
showUnfinished();
