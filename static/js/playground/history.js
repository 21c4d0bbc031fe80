// What was asked and answered here, kept in this browser alone; and links that carry a prompt.
const KEPT = 30;
const LINK = "#try=";

export function readHistory(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "[]");
  } catch {
    return [];
  }
}

export function addToHistory(key, run) {
  const runs = [run, ...readHistory(key)].slice(0, KEPT);
  while (runs.length) {
    try {
      localStorage.setItem(key, JSON.stringify(runs));
      return;
    } catch {
      runs.pop(); // the browser's room is used up: the oldest goes
    }
  }
}

export function clearHistory(key) {
  localStorage.removeItem(key);
}

// The part behind # is never sent to a server.
export function linkTo(request) {
  const bytes = new TextEncoder().encode(JSON.stringify(request));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `${location.origin}${location.pathname}${LINK}${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

export function readLink(hash) {
  if (!hash.startsWith(LINK)) return null;
  try {
    const text = atob(hash.slice(LINK.length).replaceAll("-", "+").replaceAll("_", "/"));
    const request = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (character) => character.charCodeAt(0))));
    return request && Array.isArray(request.models) && typeof request.prompt === "string" ? request : null;
  } catch {
    return null;
  }
}

// What the first page took along for the playground (welcome.js), once.
export function takeHeard() {
  try {
    const heard = JSON.parse(sessionStorage.getItem("heard"));
    sessionStorage.removeItem("heard");
    return heard;
  } catch {
    return null;
  }
}
