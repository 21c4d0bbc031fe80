// Answers as files, with the receipts that say where each one came from.
import { gettext, interpolate } from "../words.js";

const TRIES = 4; // an answer gets into the ledger a second or two after its end
const WAIT_MS = 700;

// Return the panes' answers as Markdown.
export async function exportAnswers(panes, { receipt = "", verify = "" }) {
  const texts = panes.map((pane) => pane.asMarkdown());
  const proofs = (await Promise.all(panes.map((pane) => writeReceipts(pane, receipt)))).filter(Boolean);
  if (proofs.length) {
    const address = new URL(verify, location.href).href;
    const about = interpolate(gettext("Each receipt proves where one answer came from. Verify them at {address}."), { address });
    const heading = gettext("Receipts");
    texts.push([`## ${heading}`, about, ...proofs].join("\n\n") + "\n");
  }
  return texts.join("\n\n---\n\n");
}

export function saveText(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/markdown" }));
  link.download = "polyscribe.md";
  link.click();
  URL.revokeObjectURL(link.href);
}

async function writeReceipts(pane, address) {
  const found = await Promise.all(pane.requestIds.map((id) => fetchReceipt(address.replace("ID", id))));
  const blocks = found.filter(Boolean).map((receipt) => `    ${receipt}`);
  return blocks.length ? [pane.title, ...blocks].join("\n\n") : "";
}

// Return "" for an answer without a receipt: one that was stopped, or of a service without keys.
async function fetchReceipt(address) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (tries) await new Promise((done) => { setTimeout(done, WAIT_MS); });
    const response = await fetch(address, { redirect: "manual" }).catch(() => null);
    if (response?.ok) return (await response.text()).trim();
  }
  return "";
}
