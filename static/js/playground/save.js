// Answers as files, with the receipts that say where each one came from.
import { gettext, interpolate } from "../words.js";

const TRIES = 4; // an answer gets into the ledger a second or two after its end
const WAIT_MS = 700;
const QUOTED_WORDS = 5; // from each end of a passage

// Return the panes' answers as Markdown. A file that shows Markdown as formatting says what that means for receipts.
export async function exportAnswers(panes, { receipt = "", verify = "" }, { isFormatted = false } = {}) {
  const texts = panes.map((pane) => pane.asMarkdown());
  const proofs = (await Promise.all(panes.map((pane) => writeReceipts(pane, receipt)))).filter(Boolean);
  if (proofs.length) {
    const address = new URL(verify, location.href).href;
    const about = interpolate(gettext("Each receipt is for one passage, exactly as it was written. Paste the passage and its receipt at {address} to verify it."), { address });
    const heading = gettext("Receipts");
    const formatted = isFormatted ? [gettext("This file shows Markdown as formatting, and copying changes paragraphs. The receipts are for the text with its Markdown: to verify a passage, copy it from the same answers saved as Markdown.")] : [];
    texts.push([`## ${heading}`, about, ...formatted, ...proofs].join("\n\n") + "\n");
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
  const { passages } = pane;
  const receipts = await Promise.all(passages.map(({ requestId }) => fetchReceipt(requestId, address)));
  const blocks = receipts.flatMap((receipt, index) => {
    if (!receipt) return [];
    const block = `    ${receipt}`;
    return passages.length > 1 ? [describe(passages[index].text, index + 1), block] : [block];
  });
  return blocks.length ? [pane.title, ...blocks].join("\n\n") : "";
}

// A receipt proves the words of its own request, so a text of several passages says which one it is for.
function describe(text, number) {
  const words = text.trim().split(/\s+/);
  const [start, end] = [words.slice(0, QUOTED_WORDS), words.slice(QUOTED_WORDS).slice(-QUOTED_WORDS)];
  const gap = words.length > 2 * QUOTED_WORDS ? ["…"] : [];
  const quoted = [...start, ...gap, ...end].join(" ");
  return interpolate(gettext("Passage {number}, “{words}”:"), { number, words: quoted });
}

// Return "" for an answer without a receipt: one that was stopped, or of a service without keys.
async function fetchReceipt(requestId, address) {
  if (!requestId) return "";
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (tries) await new Promise((done) => { setTimeout(done, WAIT_MS); });
    const response = await fetch(address.replace("ID", requestId), { redirect: "manual" }).catch(() => null);
    if (response?.ok) return (await response.text()).trim();
  }
  return "";
}
