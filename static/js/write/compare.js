// Compares two texts by words: returns nodes with what went (del) and what came (ins).
const MOST_STEPS = 1_000_000; // beyond, a comparison would be longer than the texts

export function compared(before, after) {
  const [old, written] = [pieces(before), pieces(after)];
  if (old.length * written.length > MOST_STEPS) return [document.createTextNode(after)];
  const nodes = [];
  for (const [kind, text] of steps(old, written)) {
    if (kind === "same") nodes.push(document.createTextNode(text));
    else {
      const node = document.createElement(kind);
      node.textContent = text;
      nodes.push(node);
    }
  }
  return nodes;
}

// Words, each with the white space behind it.
const pieces = (text) => text.match(/\S+\s*|^\s+/g) ?? [];
const wordOf = (piece) => piece.trimEnd();

// The longest common subsequence, read from its end backwards; neighbours of one kind become one.
function steps(old, written) {
  const width = written.length + 1;
  const lengths = new Uint16Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = written.length - 1; j >= 0; j -= 1) {
      const isSame = wordOf(old[i]) === wordOf(written[j]);
      lengths[i * width + j] = isSame ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const found = [];
  const add = (kind, text) => {
    const last = found.at(-1);
    if (last?.[0] === kind) last[1] += text;
    else found.push([kind, text]);
  };
  let [i, j] = [0, 0];
  while (i < old.length || j < written.length) {
    if (i < old.length && j < written.length && wordOf(old[i]) === wordOf(written[j])) {
      add("same", written[j]);
      [i, j] = [i + 1, j + 1];
    } else if (j === written.length || (i < old.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      add("del", old[i]);
      i += 1;
    } else {
      add("ins", written[j]);
      j += 1;
    }
  }
  return found;
}
