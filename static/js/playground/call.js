// The call that the playground sends, and the same call as code. Both come from one object.
const NUMBERS = ["max_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "frequency_penalty", "presence_penalty", "seed"];
const NOT_OPENAIS = ["top_k", "repetition_penalty"]; // OpenAI's client takes these only in extra_body

// Return what the form sets, without model and messages; an empty field is left to the server's default.
export function settingsOf(form) {
  const settings = {};
  for (const name of NUMBERS) {
    const text = form.elements[name].value.trim();
    if (text) settings[name] = Number(text);
  }
  const stops = form.elements.stop.value.split("\n").filter(Boolean);
  if (stops.length) settings.stop = stops;
  return settings;
}

export function makeCall(model, messages, settings) {
  return { model, messages, ...settings, stream: true, stream_options: { include_usage: true } };
}

export function asCurl(call, base) {
  const body = JSON.stringify(call, null, 2).replaceAll("'", "'\\''");
  return `curl -N ${base}/chat/completions \\\n  -H "Authorization: Bearer YOUR KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '${body}'`;
}

export function asPython(call, base) {
  const own = NOT_OPENAIS.filter((name) => name in call);
  const lines = Object.entries(call)
    .filter(([name]) => !own.includes(name))
    .map(([name, value]) => `    ${name}=${python(value, "    ")},`);
  if (own.length) lines.push(`    extra_body=${python(Object.fromEntries(own.map((name) => [name, call[name]])), "    ")},`);
  return [
    "from openai import OpenAI", "",
    `client = OpenAI(base_url=${JSON.stringify(base)}, api_key="YOUR KEY")`,
    "stream = client.chat.completions.create(", ...lines, ")",
    "for chunk in stream:",
    "    for choice in chunk.choices:",
    '        print(choice.delta.content or "", end="", flush=True)',
  ].join("\n");
}

export function asJavaScript(call, base) {
  const body = JSON.stringify(call, null, 2).replace(/^(\s*)"(\w+)":/gm, "$1$2:");
  return [
    'import OpenAI from "openai";', "",
    `const client = new OpenAI({ baseURL: ${JSON.stringify(base)}, apiKey: "YOUR KEY" });`,
    `const stream = await client.chat.completions.create(${body});`,
    "for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? \"\");",
  ].join("\n");
}

// A JSON string is a Python string, too: both escape alike.
function python(value, indent) {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const isList = Array.isArray(value);
  const [open, close] = isList ? "[]" : "{}";
  const items = isList ? value.map((item) => python(item, `${indent}    `)) : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${python(item, `${indent}    `)}`);
  const line = `${open}${items.join(", ")}${close}`;
  return line.length < 90 ? line : `${open}\n${items.map((item) => `${indent}    ${item},\n`).join("")}${indent}${close}`;
}
