// Sends large files in parts straight to storage: several at once, each to a presigned URL of its own. What has
// arrived is asked of the studio, so a pause, a broken line or a reloaded page loses no part.
import { gettext, interpolate } from "./words.js";
const AT_ONCE = 4;
const TRIES = 6;
const LAST_PART = 10_000;
const RATE_OVER_MS = 10_000;

export class Stopped extends Error {}

// Calls progress(name, sent bytes, bytes of the file) often. Throws Stopped when the signal is aborted, and an
// Error with a sentence for people.
export async function sendParts(address, fileOf, progress, signal) {
  for (let wasRefused = false; ;) {
    const upload = await ask(`${address}?parts=1-${LAST_PART}`, signal);
    const waiting = [];
    for (const described of upload.files) {
      const counter = new Counter(described, (sent) => progress(described.name, sent, described.size_bytes));
      for (const part of described.part_urls) {
        const start = (part.number - 1) * described.part_bytes;
        waiting.push({ ...part, counter, blob: fileOf(described.name).slice(start, start + part.size_bytes) });
      }
    }
    if (!waiting.length) return; // all is there, or the upload was cancelled: finishing it tells
    const isRefused = !(await sendAll(waiting, signal));
    if (isRefused && wasRefused) throw new Error(sentence(403)); // not even a new URL is taken
    wasRefused = isRefused;
  }
}

// How many bytes of a file have arrived or are on their way.
class Counter {
  constructor(described, report) {
    this.arrived = described.is_there ? described.size_bytes : described.parts_there.reduce((sum, part) => sum + part.size_bytes, 0);
    this.sending = new Map();
    this.report = report;
    this.tell();
  }

  tell() {
    this.report([...this.sending.values()].reduce((sum, bytes) => sum + bytes, this.arrived));
  }

  loaded(number, bytes) {
    this.sending.set(number, bytes);
    this.tell();
  }

  ended(number, bytes) {
    this.sending.delete(number);
    this.arrived += bytes;
    this.tell();
  }
}

// Returns how many arrived: all, or fewer where a URL has expired. Then the caller asks for new ones.
async function sendAll(waiting, signal) {
  let expired = false;
  let arrived = 0;
  const inner = new AbortController();
  const stop = () => inner.abort();
  signal.addEventListener("abort", stop);
  const work = async () => {
    while (waiting.length && !expired) {
      if (await sendPart(waiting.shift(), inner.signal)) arrived += 1;
      else expired = true;
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (problem) {
    stop();
    throw problem;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  return arrived;
}

// Returns false when the URL has expired.
async function sendPart(part, signal) {
  for (let attempt = 1; ; attempt += 1) {
    const status = await put(part, signal);
    if (status >= 200 && status < 300) {
      part.counter.ended(part.number, part.size_bytes);
      return true;
    }
    part.counter.ended(part.number, 0);
    if (status === 403 || status === 404) return false;
    if (attempt === TRIES) throw new Error(sentence(status));
    await pause(500 * 2 ** attempt, signal);
  }
}

// Resolves to the status, 0 where the line broke.
function put({ url, blob, number, counter }, signal) {
  return new Promise((done, failed) => {
    if (signal.aborted) return failed(new Stopped());
    const request = new XMLHttpRequest(); // fetch does not report progress
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    request.open("PUT", url);
    request.upload.onprogress = ({ loaded }) => counter.loaded(number, loaded);
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.onload = () => done(request.status);
    request.onerror = () => done(0);
    request.onabort = () => { counter.ended(number, 0); failed(new Stopped()); };
    request.send(blob);
  });
}

function sentence(status) {
  if (status === 413) return gettext("The server in front of storage doesn’t accept parts of this size. Please contact the operators of this site.");
  if (status) return interpolate(gettext("Storage returned error {status}. Select “Continue” to resume where it stopped."), { status });
  return gettext("The connection to storage was lost. Select “Continue” to resume where it stopped.");
}

function pause(ms, signal) {
  return new Promise((done, failed) => {
    const stop = () => { clearTimeout(timer); failed(new Stopped()); };
    const timer = setTimeout(() => { signal.removeEventListener("abort", stop); done(); }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

// Returns the upload as the management API shows it.
export async function ask(address, signal) {
  let response;
  try {
    response = await fetch(address, { headers: { Accept: "application/json" }, signal });
  } catch (cause) {
    if (signal?.aborted) throw new Stopped();
    throw new Error(gettext("We couldn’t reach Polyscribe. Check your connection, then continue."), { cause });
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { status } = response;
  const detail = answer.detail ?? interpolate(gettext("Something went wrong (error {status}). Wait a moment, then continue."), { status });
  throw Object.assign(new Error(detail), { status });
}

// Bytes a second over the last ten seconds, and how long the rest takes.
export class Rate {
  constructor() {
    this.samples = [];
  }

  add(bytes, at = performance.now()) {
    this.samples.push({ bytes, at });
    while (this.samples.length > 2 && at - this.samples[0].at > RATE_OVER_MS) this.samples.shift();
  }

  bytesPerSecond() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return last && last.at - first.at >= 500 ? Math.max(0, (1000 * (last.bytes - first.bytes)) / (last.at - first.at)) : 0;
  }

  secondsLeft(bytes) {
    const rate = this.bytesPerSecond();
    return rate ? bytes / rate : null;
  }
}

export function duration(seconds) {
  if (seconds < 60) return interpolate(gettext("{count} s left"), { count: Math.max(1, Math.ceil(seconds)) });
  if (seconds < 5400) return interpolate(gettext("{count} min left"), { count: Math.ceil(seconds / 60) });
  return interpolate(gettext("{count} h left"), { count: Math.ceil(seconds / 3600) });
}
