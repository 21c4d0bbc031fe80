// What the page's scripts say, in the language of the page: a page that is not in English loads its catalogue.
export const language = document.documentElement.lang || "en";

export function gettext(text) {
  return globalThis.django?.gettext?.(text) ?? text;
}

// Fills {names} in.
export function interpolate(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(facts[name] ?? whole));
}

// Returns what to append for a sentence of the server's: text, and elements for what stands between backticks.
export function withCode(sentence) {
  return sentence.split(/`([^`\s](?:[^`\n]*[^`\s])?)`/).map((part, index) => {
    if (index % 2 === 0) return part;
    const code = document.createElement("code");
    code.textContent = part;
    return code;
  });
}

export function countWords(text) {
  return text.match(/\S+/g)?.length ?? 0;
}

// Says how large a file is.
export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1, useGrouping: false })} MB`;
}

// Joins names as people do.
export function joinAnd(names) {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(names);
}

export function joinOr(names) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(names);
}
