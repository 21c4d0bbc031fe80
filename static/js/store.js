// Posts one file straight to storage by its presigned fields. XHR, because fetch does not report progress.
import { gettext, interpolate, size } from "./words.js";

class Refusal extends Error {
  constructor(message, expired = false) {
    super(message);
    this.expired = expired;
  }
}

const cut = new WeakMap(); // by file: how often its upload was cut off although storage answers

export async function store(upload, file, progress) {
  try {
    await send(upload, file, progress);
  } catch (problem) {
    throw problem === BROKEN ? await broken(upload.url, file) : problem;
  }
}

const BROKEN = new Refusal(gettext("The connection to storage was lost. Select “Continue” to send this file again."));

function send({ url, fields }, file, progress) {
  return new Promise((done, failed) => {
    const body = new FormData();
    for (const [key, value] of Object.entries(fields)) body.append(key, value);
    body.append("file", file); // storage ignores every field after the file
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onload = () => (request.status < 300 ? done() : failed(refusal(request, file)));
    request.onerror = () => failed(BROKEN);
    request.send(body);
  });
}

// A proxy that takes no body of this size cuts the connection, or answers without leave to read the answer:
// both look like a broken line. But storage can be reached, and the next try ends the same way.
async function broken(url, file) {
  const answers = await fetch(url, { mode: "no-cors", credentials: "omit" }).then(() => true, () => false);
  cut.set(file, answers ? (cut.get(file) ?? 0) + 1 : 0);
  return cut.get(file) < 2 ? BROKEN : tooLarge(file);
}

function tooLarge(file) {
  return new Refusal(
    interpolate(gettext("The server in front of storage doesn’t accept a file of {size}. Uploading it again won’t help. Please contact the operators of this site. “An upload is cut off” in docs/running.md explains what to set."), { size: size(file.size) }),
  );
}

function refusal({ status, responseText }, file) {
  const isStorages = responseText.trimStart().startsWith("<?xml"); // S3 gives its reasons so; a proxy does not
  if (status === 413 && !isStorages) return tooLarge(file);
  if (status === 400 || status === 413) return new Refusal(gettext("Storage refused this file because its size has changed. Choose it again."), true);
  if (status === 403) return new Refusal(gettext("The permission to upload has expired. Select “Continue” to send this file again."), true);
  return new Refusal(interpolate(gettext("Storage returned error {status}. Select “Continue” to send this file again."), { status }));
}
