// Proposes a short name while a style's name is typed, until somebody writes one of their own.
const form = document.querySelector("[data-names-style]");
const name = form.querySelector("[name=name]");
const slug = form.querySelector("[name=slug]");

function slugify(text) {
  return text.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, slug.maxLength).replace(/-+$/, "");
}

let isOwn = Boolean(slug.value) && slug.value !== slugify(name.value);
name.addEventListener("input", () => { if (!isOwn) slug.value = slugify(name.value); });
slug.addEventListener("input", () => { isOwn = Boolean(slug.value); });
