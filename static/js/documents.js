// Sends documents straight to storage, a few at once, and then has them read. The list below the form is the
// server's: it is renewed when something arrived, and by itself while texts are being read.
import { droppedFiles } from "./folder.js";
import { post } from "./post.js";
import { store } from "./store.js";
import { gettext, interpolate, size, withCode } from "./words.js";

const form = document.querySelector("[data-documents]");
const AT_ONCE = 3;
const ANNOUNCED_AT_ONCE = 100;
const SYSTEM_FILES = /^(\..*|Thumbs\.db|desktop\.ini)$/i; // what a folder has beside what a person wrote
const waiting = [];
let sending = 0;

function begin() {
  const picker = form.querySelector("#files");
  const drop = form.querySelector("[data-drop]");
  picker.addEventListener("change", () => take(picker));
  if (picker.files.length) take(picker); // chosen before this script was there
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.dataset.over = ""; });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => delete drop.dataset.over);
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    add((await droppedFiles(event.dataTransfer)).files);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("beforeunload", (event) => { if (sending || waiting.length) event.preventDefault(); });
}

function take(picker) {
  add([...picker.files]);
  picker.value = ""; // the same file may be chosen again
}

async function add(chosen) {
  refuse([]);
  const files = named(chosen.filter((file) => !SYSTEM_FILES.test(file.name)));
  const names = [...files.keys()];
  for (let first = 0; first < names.length; first += ANNOUNCED_AT_ONCE) {
    await announce(names.slice(first, first + ANNOUNCED_AT_ONCE), files);
  }
}

// Two files of one name, of two folders, are two documents.
function named(chosen) {
  const files = new Map();
  for (const file of chosen) {
    let name = file.webkitRelativePath || file.name;
    for (let number = 2; files.has(name); number += 1) name = `${number}-${file.name}`;
    files.set(name, file);
  }
  return files;
}

async function announce(names, files) {
  const body = { files: names.map((name) => ({ name, size: files.get(name).size })) };
  try {
    const { uploads, refused } = await post(form, form.dataset.announce, body);
    refuse(refused.map(({ why }) => why));
    for (const upload of uploads) waiting.push({ upload, file: files.get(upload.name), row: lay(upload.name) });
    for (let worker = sending; worker < AT_ONCE; worker += 1) work();
  } catch (problem) {
    if (!problem.errors) throw problem;
    refuse(Object.values(problem.errors).flat());
  }
}

async function work() {
  const one = waiting.shift();
  if (!one) return;
  sending += 1;
  await send(one);
  sending -= 1;
  if (!sending && !waiting.length) await finish();
  work();
}

async function send(one) {
  const { upload, file, row } = one;
  const bar = row.querySelector("progress");
  const state = row.querySelector(".state");
  bar.hidden = false;
  try {
    await store(upload, file, (loaded, total) => {
      bar.value = (100 * loaded) / total;
      state.textContent = interpolate(gettext("{done} of {total}"), { done: size(loaded), total: size(total) });
    });
    row.remove();
    form.querySelector("[data-uploads]").hidden = !form.querySelector("[data-uploads] li");
  } catch (problem) {
    fail(one, problem.expired);
  }
}

function fail(one, isExpired) {
  const { row, upload } = one;
  row.querySelector("progress").hidden = true;
  row.querySelector(".state").textContent = gettext("not uploaded");
  const line = row.querySelector(".field-error");
  const sentence = isExpired
    ? gettext("The permission to upload {name} has expired. Delete it below and add it again.")
    : gettext("The connection was lost while {name} was being uploaded.");
  line.textContent = interpolate(sentence, { name: upload.name });
  line.hidden = false;
  if (isExpired) return;
  const again = document.createElement("button");
  again.type = "button";
  again.className = "button";
  again.textContent = gettext("Try again");
  again.addEventListener("click", () => {
    again.remove();
    line.hidden = true;
    waiting.push(one);
    work();
  });
  row.append(again);
}

async function finish() {
  try {
    await post(form, form.dataset.finish, {});
  } catch (problem) {
    refuse(Object.values(problem.errors ?? {}).flat());
  }
  globalThis.htmx.trigger("#documents", "renew");
}

function lay(name) {
  const row = document.createElement("li");
  const title = document.createElement("span");
  title.textContent = name;
  const state = document.createElement("span");
  state.className = "state";
  const bar = document.createElement("progress");
  bar.max = 100;
  bar.value = 0;
  bar.hidden = true;
  bar.setAttribute("aria-label", interpolate(gettext("Upload of {name}"), { name }));
  const error = document.createElement("p");
  error.className = "field-error";
  error.hidden = true;
  row.append(title, state, bar, error);
  const list = form.querySelector("[data-uploads]");
  list.hidden = false;
  list.append(row);
  return row;
}

function refuse(sentences) {
  form.querySelector("[data-refusals]").replaceChildren(...sentences.map((sentence) => {
    const line = document.createElement("li");
    line.className = "field-error";
    line.append(...withCode(sentence));
    return line;
  }));
}

if (form) begin();
