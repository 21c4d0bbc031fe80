// Sends a chat call to the playground's endpoint and yields the chunks of its answer, each with its `requestId`.
// What it throws has a message for people.
import { events } from "./sse.js";
import { gettext, interpolate } from "./words.js";

export async function* answer(form, call, signal) {
  const response = await ask(form, call, signal);
  for await (const data of events(response.body)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new Error(chunk.error.message);
    yield Object.assign(chunk, { requestId: response.headers.get("x-request-id") });
  }
  throw new Error(gettext("The answer was interrupted. Try again."));
}

const MOST_ROUNDS = 4; // in which a text goes on until it is long enough
const STALLED_WORDS = 3; // a round that adds fewer is the last one

// Have a text go on, by as many words as are missing, until it has the least of them.
export async function goOnUntil(leastWords, countWritten, goOn) {
  for (let round = 0; round < MOST_ROUNDS && countWritten() < leastWords; round += 1) {
    const before = countWritten();
    await goOn(leastWords - before);
    if (countWritten() - before < STALLED_WORDS) return;
  }
}

export function textOf(chunk) {
  return chunk.choices?.[0]?.delta?.content ?? chunk.choices?.[0]?.text ?? "";
}

export function sentenceOf(error) {
  return error instanceof TypeError ? gettext("We couldn’t reach Polyscribe. Check your connection and try again.") : error.message;
}

async function ask(form, call, signal) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "text/event-stream" };
  const response = await fetch(form.action, { method: "POST", body: JSON.stringify(call), headers, signal, redirect: "manual" });
  if (response.ok) return response;
  if (response.type === "opaqueredirect") throw new Error(gettext("You were logged out. Log in in another tab, then try again."));
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error?.message ?? interpolate(gettext("Something went wrong (error {status}). Wait a moment and try again."), { status: response.status }));
}
