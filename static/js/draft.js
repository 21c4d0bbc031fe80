// Keeps what is typed into [data-draft] fields over a reload, and proposes a slug while the name is typed.
const KEY = `draft:${location.pathname}${location.search}`;
const fields = [...document.querySelectorAll("[data-draft]")];
const name = document.getElementById("name");
const slug = document.getElementById("slug");
let own = Boolean(slug.value);

function slugify(text) {
  return text.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, slug.maxLength).replace(/-+$/, "");
}

function keep() {
  sessionStorage.setItem(KEY, JSON.stringify(Object.fromEntries(fields.map((field) => [field.name, field.value]))));
}

try {
  const draft = JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  for (const field of fields) if (draft[field.name]) field.value = draft[field.name];
  own ||= Boolean(slug.value) && slug.value !== slugify(name.value);
} catch {
  sessionStorage.removeItem(KEY);
}

name.addEventListener("input", () => { if (!own) slug.value = slugify(name.value); });
slug.addEventListener("input", () => { own = Boolean(slug.value); });
for (const field of fields) field.addEventListener("input", keep);

export function forget() {
  sessionStorage.removeItem(KEY);
}
