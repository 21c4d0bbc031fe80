// When the newest version comes to its end, the heading and the table of versions are out of date: renew the page in place.
let renewed = Boolean(document.querySelector("[data-steps][data-final=true]"));

document.addEventListener("htmx:after:swap", () => {
  if (renewed || !document.querySelector("[data-steps][data-final=true]")) return;
  renewed = true;
  window.htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerMorph", push: "false" });
});
