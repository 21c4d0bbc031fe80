// What the page's scripts say, in the language of the page: a page that is not in English loads its catalogue.
export const language = document.documentElement.lang || "en";

export function gettext(text) {
  return globalThis.django?.gettext?.(text) ?? text;
}

// Fills {names} in.
export function interpolate(text, facts) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(facts[name] ?? whole));
}

// Joins names as people do.
export function joinAnd(names) {
  return new Intl.ListFormat(language, { type: "conjunction" }).format(names);
}

export function joinOr(names) {
  return new Intl.ListFormat(language, { type: "disjunction" }).format(names);
}
