// Remembers uploads in parts that are not finished, each by its version's id: so the same files go on after the
// page was closed, and no tab forgets what another one began.
const PREFIX = "unfinished-upload:";
const FORGOTTEN_AFTER_MS = 23 * 3600 * 1000; // the studio deletes it a day after it began

const describe = (file) => ({ name: file.name, size: file.size, modified: file.lastModified });

// What an upload is told by: its addresses, what was typed, and its files.
export function describeUpload(version, fields, files) {
  return { version, fields, files: files.map(describe), at: Date.now() };
}

export function remember(upload) {
  try {
    localStorage.setItem(PREFIX + upload.version.version, JSON.stringify(upload));
  } catch { /* a browser that keeps nothing: then a reloaded page begins anew */ }
}

// Returns all, the newest first.
export function recall() {
  const kept = names().map(read).filter(Boolean);
  return kept.sort((one, other) => other.at - one.at);
}

export function drop(upload) {
  try {
    localStorage.removeItem(PREFIX + upload.version.version);
  } catch { /* nothing is kept */ }
}

// A file with another time of change may have other bytes in the parts that have arrived.
export function isSame(upload, files) {
  const isKnown = ({ name, size, modified }) => upload.files.some((one) => one.name === name && one.size === size && one.modified === modified);
  return files.length === upload.files.length && files.map(describe).every(isKnown);
}

function names() {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
  } catch {
    return [];
  }
}

function read(name) {
  try {
    const upload = JSON.parse(localStorage.getItem(name));
    if (Date.now() - upload.at < FORGOTTEN_AFTER_MS && upload.version.version && upload.files.length) return upload;
  } catch { /* of an older page */ }
  localStorage.removeItem(name);
  return null;
}
