// <time data-local> is written in UTC by the server; show it in the reader's zone and keep UTC on hover.
const locale = document.documentElement.lang === "de" ? "de-DE" : "en-GB";
const full = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric" });
const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function localize() {
  for (const time of document.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    const text = ({ clock, day }[time.dataset.local] ?? full).format(at);
    if (time.textContent !== text) time.textContent = text;
    time.title = `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }
}

localize();
document.addEventListener("htmx:after:swap", localize);
