// Narrow the cards while typing; the server has sent them all.
const field = document.querySelector("[data-search-field]");
const sections = [...document.querySelectorAll("[data-searchable]")];
const nothing = document.querySelector("[data-nothing-found]");
const count = document.querySelector("[data-found-count]");

function narrow() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of sections) {
    const cards = [...section.querySelectorAll("[data-words]")];
    for (const card of cards) card.hidden = !words.every((word) => card.dataset.words.includes(word));
    const shown = cards.filter((card) => !card.hidden).length;
    section.hidden = Boolean(words.length) && shown === 0;
    found += shown;
  }
  nothing.hidden = found > 0 || words.length === 0;
  nothing.querySelector("[data-sought]").textContent = field.value.trim();
  count.textContent = words.length ? `${found} ${found === 1 ? "style" : "styles"} found` : "";
}

if (field) {
  field.addEventListener("input", narrow);
  field.form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("htmx:after:swap", narrow);
  narrow();
}
