// A chart's nearest point, by pointer or arrow keys: <div class="chart" data-chart tabindex="0"> with one <g> for each
// point, whose <title> has its words, a line each: the day first.
for (const chart of document.querySelectorAll("[data-chart]")) follow(chart);

function follow(chart) {
  const points = [...chart.querySelectorAll("g")];
  if (!points.length) return;
  const texts = points.map((point) => {
    const title = point.querySelector("title");
    const text = title.textContent.trim();
    title.remove(); // the browser's own would come on top, a second later
    return text;
  });
  const tip = document.createElement("div");
  tip.className = "chart-tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  chart.append(tip);
  let shown = -1;

  function show(number) {
    points[shown]?.removeAttribute("data-near");
    shown = number;
    tip.hidden = number < 0;
    if (number < 0) return;
    const [first, ...rest] = texts[number].split("\n");
    tip.replaceChildren(line(first, "strong"), ...rest.map((text) => line(text, "span")));
    points[number].setAttribute("data-near", "");
    const box = points[number].getBoundingClientRect();
    const room = chart.getBoundingClientRect();
    const middle = box.left + box.width / 2 - room.left;
    const half = tip.offsetWidth / 2;
    tip.style.setProperty("inset-inline-start", `${Math.min(Math.max(middle, half), room.width - half)}px`);
  }

  chart.addEventListener("pointermove", (event) => {
    const distances = points.map((point) => {
      const box = point.getBoundingClientRect();
      return Math.abs(event.clientX - box.left - box.width / 2);
    });
    show(distances.indexOf(Math.min(...distances)));
  });
  chart.addEventListener("pointerleave", () => show(-1));
  chart.addEventListener("blur", () => show(-1));
  chart.addEventListener("keydown", (event) => {
    const last = points.length - 1;
    const next = { ArrowLeft: Math.max(0, shown - 1), ArrowRight: Math.min(last, shown + 1), Home: 0, End: last }[event.key];
    if (event.key === "Escape") show(-1);
    if (next === undefined) return;
    event.preventDefault();
    show(next);
  });
}

function line(text, tag) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
