// The API reference: Redoc, in the studio's colours. It computes with colours, so it gets them as numbers.
const root = document.querySelector("#reference");

// Redoc's menu ends with an image from its maker's servers, which the page's policy would refuse aloud.
const { setAttribute } = Element.prototype;
HTMLImageElement.prototype.setAttribute = function (name, value) {
  if (name !== "src" || new URL(value, location.href).origin === location.origin) setAttribute.call(this, name, value);
};
Object.defineProperty(HTMLImageElement.prototype, "src", { set(value) { this.setAttribute("src", value); } });

const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const probe = root.appendChild(document.createElement("span"));
function color(name) {
  probe.style.color = `var(--${name})`;
  pixel.fillStyle = getComputedStyle(probe).color;
  pixel.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pixel.getImageData(0, 0, 1, 1).data;
  return `rgb(${red}, ${green}, ${blue})`;
}

const tokens = getComputedStyle(root);
const [sans, mono] = ["--sans", "--mono"].map((name) => tokens.getPropertyValue(name));
const theme = {
  breakpoints: { medium: "64rem" },
  colors: {
    primary: { main: color("accent") },
    success: { main: color("good") },
    warning: { main: color("warn") },
    error: { main: color("bad") },
    text: { primary: color("ink"), secondary: color("ink-soft") },
    gray: { 50: color("well"), 100: color("well") },
    border: { dark: color("line"), light: color("line") },
    responses: {
      success: { tabTextColor: color("panel-good") },
      error: { tabTextColor: color("panel-bad") },
      redirect: { tabTextColor: color("panel-ink") },
      info: { color: color("accent"), tabTextColor: color("panel-ink") },
    },
    http: {
      get: color("get"), post: color("post"), put: color("put"), patch: color("put"), delete: color("delete"),
    },
  },
  schema: {
    linesColor: color("line-strong"),
    nestedBackground: color("well"),
    requireLabelColor: color("warn"),
    typeNameColor: color("ink-soft"),
  },
  typography: {
    fontSize: "15px",
    lineHeight: "1.6",
    fontFamily: sans,
    headings: { fontFamily: sans, fontWeight: "600", lineHeight: "1.35" },
    code: { fontFamily: mono, color: color("ink"), backgroundColor: color("well"), wrap: true },
    links: { color: color("accent"), hover: color("accent-strong") },
  },
  sidebar: {
    backgroundColor: color("ground"),
    textColor: color("ink"),
    activeTextColor: color("accent"),
    groupItems: { activeBackgroundColor: color("chosen"), textTransform: "none" },
    level1Items: { activeBackgroundColor: color("chosen") },
  },
  rightPanel: { backgroundColor: color("panel"), textColor: color("panel-ink") },
  codeBlock: { backgroundColor: color("panel-code") },
  fab: { backgroundColor: color("sheet"), color: color("accent") },
};
probe.remove();

const options = {
  theme,
  hideDownloadButtons: true,
  hideSchemaTitles: true,
  jsonSamplesExpandLevel: "all",
  nativeScrollbars: true,
  sanitize: true,
  scrollYOffset: ".bar",
  sortRequiredPropsFirst: true,
};
globalThis.Redoc.init(root.dataset.schema, options, root.appendChild(document.createElement("div")));

// In the other theme every colour is another.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
addEventListener("storage", ({ key }) => { if (key === "theme") location.reload(); });
