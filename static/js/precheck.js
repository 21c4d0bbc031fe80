// What can be seen of a chosen file before a byte of it leaves: a sentence if it can't be taken, else "".
// The service checks everything again, and much more.
import { gettext, interpolate, language } from "./words.js";
const MOST_CONFIG_BYTES = 1024 * 1024;
const MOST_HEADER_BYTES = 32 * 1024 * 1024;

export async function precheck(name, file) {
  try {
    if (!file.size) return withRemedy(gettext("This file is empty."));
    if (name.endsWith(".json")) return await checkConfig(file);
    if (name.endsWith(".safetensors")) return await checkWeights(file);
    return await checkArchive(file);
  } catch {
    return gettext("Your browser can’t read this file. It may have been moved or changed. Choose it again.");
  }
}

function withRemedy(sentence) {
  return [sentence, gettext("Save the adapter again with PEFT’s save_pretrained(…) and choose the new file.")].join(" ");
}

async function checkConfig(file) {
  if (file.size > MOST_CONFIG_BYTES) return withRemedy(gettext("This file is too large for a configuration."));
  const config = parse(await file.text());
  if (!config || Array.isArray(config)) return withRemedy(gettext("This file isn’t a JSON object."));
  // Other spellings and a missing word can be converted by the service.
  const kind = config.peft_type;
  if (typeof kind === "string" && !/lora/i.test(kind)) return interpolate(gettext("Its peft_type is “{kind}”, but we only serve LORA. Train with PEFT’s LoraConfig."), { kind: kind.slice(0, 40) });
  return "";
}

// Eight bytes say how long the header is, the header says where each tensor ends; what is left must be just that long.
async function checkWeights(file) {
  if (file.size < 8) return withRemedy(gettext("This file is too short for a safetensors file."));
  const length = Number(new DataView(await file.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  if (length > MOST_HEADER_BYTES || length > file.size - 8) return withRemedy(gettext("This isn’t a safetensors file, or it is truncated."));
  const header = parse(await file.slice(8, 8 + length).text());
  if (!header) return withRemedy(gettext("This isn’t a safetensors file."));
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  const ends = tensors.map(([, tensor]) => Number(tensor?.data_offsets?.[1]));
  const missing = Math.max(0, ...ends) - (file.size - 8 - length);
  if (missing > 0) return interpolate(gettext("This file is truncated: {count} bytes are missing. Copy or save it again, then choose the new file."), { count: missing.toLocaleString(language) });
  if (!tensors.some(([name]) => name.includes("lora_A"))) return withRemedy(gettext("This file has no LoRA weights."));
  return "";
}

async function checkArchive(file) {
  const bytes = new Uint8Array(await file.slice(0, 262).arrayBuffer());
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const isTar = new TextDecoder().decode(bytes.slice(257, 262)) === "ustar";
  return isZip || isGzip || isTar ? "" : gettext("This isn’t a .zip, .tar or .tar.gz archive, despite its name. Pack the two files again.");
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
