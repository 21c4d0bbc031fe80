// Remembers an upload in parts that is not finished, so that the same files go on after the page was closed.
const KEY = "unfinished-upload";
const FORGOTTEN_AFTER_MS = 23 * 3600 * 1000; // the studio deletes it a day after it began

const describe = (file) => ({ name: file.name, size: file.size, modified: file.lastModified });

export function remember(version, fields, files) {
  keep({ version, fields, files: files.map(describe), at: Date.now() });
}

export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    if (kept && Date.now() - kept.at < FORGOTTEN_AFTER_MS) return kept;
  } catch { /* not ours, or of an older page */ }
  drop();
  return null;
}

// A file with another time of change may have other bytes in the parts that have arrived.
export function isSame(kept, file) {
  const { name, size, modified } = describe(file);
  return kept.files.some((one) => one.name === name && one.size === size && one.modified === modified);
}

export function drop() {
  try {
    localStorage.removeItem(KEY);
  } catch { /* a browser that keeps nothing */ }
}

function keep(what) {
  try {
    localStorage.setItem(KEY, JSON.stringify(what));
  } catch { /* then a reloaded page begins anew */ }
}
