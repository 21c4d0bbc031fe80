// Does with the official client what programs do, and prints what it heard as one JSON object.
// OPENAI_BASE_URL and OPENAI_API_KEY are the client's own variables; POOR_API_KEY has next to no tokens left.
import OpenAI, { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from "openai";

const CLASSES = { APIError, AuthenticationError, BadRequestError, NotFoundError, RateLimitError };
const client = new OpenAI({ maxRetries: 0, timeout: 120_000 });
const asked = {
  model: "poetry",
  messages: [{ role: "user", content: "Why is the sky blue?" }],
  max_tokens: 16,
  temperature: 0,
};
const streamed = { ...asked, stream: true, stream_options: { include_usage: true } };

async function whole() {
  const { data, response } = await client.chat.completions.create(asked).withResponse();
  return { ...heard(data), request: response.headers.get("x-request-id"), sameRequest: data._request_id };
}

async function iterated() {
  const { data, response } = await client.chat.completions.create(streamed).withResponse();
  const chunks = [];
  for await (const chunk of data) chunks.push(chunk);
  return {
    text: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
    models: [...new Set(chunks.map((chunk) => chunk.model))],
    usage: chunks.at(-1).usage,
    request: response.headers.get("x-request-id"),
  };
}

async function evented() {
  let text = "";
  const runner = client.chat.completions.stream(streamed).on("content", (delta) => (text += delta));
  return { ...heard(await runner.finalChatCompletion()), events: text };
}

async function texts() {
  const answer = await client.completions.create({ model: "genz", prompt: ["The sea", "A ship"], max_tokens: 4 });
  return answer.choices.map((choice) => choice.text);
}

async function models() {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  return { names, one: (await client.models.retrieve("poetry")).id };
}

async function aborted() {
  const { data, response } = await client.chat.completions
    .create({ ...streamed, max_tokens: 400, logit_bias: { 2: -100 } })
    .withResponse();
  let chunks = 0;
  for await (const _ of data) if (++chunks === 4) data.controller.abort();
  return { chunks, request: response.headers.get("x-request-id") };
}

async function refused(ask, options = {}) {
  let requests = 0;
  const counted = (...args) => (requests++, fetch(...args));
  try {
    await ask(client.withOptions({ fetch: counted, ...options }));
  } catch (error) {
    const classes = Object.keys(CLASSES).filter((name) => error instanceof CLASSES[name]);
    const { status, code, type, param, message, requestID } = error;
    return { classes, status, code, type, param, message, requestID, requests };
  }
  return { classes: [] };
}

function heard(answer) {
  const { message, finish_reason } = answer.choices[0];
  return { model: answer.model, text: message.content, finish_reason, usage: answer.usage };
}

const poor = { apiKey: process.env.POOR_API_KEY, maxRetries: 2 };
const errors = {
  wrongKey: await refused((c) => c.models.list(), { apiKey: "sk-nonsense" }),
  unknownModel: await refused((c) => c.chat.completions.create({ ...asked, model: "nobody/nothing" })),
  wrongField: await refused((c) => c.chat.completions.create({ ...asked, temperature: 5 })),
  wrongFieldStreamed: await refused((c) => c.chat.completions.create({ ...streamed, temperature: 5 })),
  noQuota: await refused((c) => c.chat.completions.create({ ...asked, model: "base", max_tokens: 200 }), poor),
};
const results = { models: await models(), whole: await whole(), iterated: await iterated() };
Object.assign(results, { evented: await evented(), texts: await texts(), aborted: await aborted(), errors });
console.log(JSON.stringify(results));
