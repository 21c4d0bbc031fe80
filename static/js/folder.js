// What was dropped, as files: of a folder everything in it, the files nearest to its top first.
const MOST_ENTRIES = 2_000; // a folder of checkpoints has many; beyond that nobody means all of it

export async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files: [...transfer.files], isFolder: false };
  const files = [];
  for (let level = entries; level.length && files.length < MOST_ENTRIES;) {
    const below = [];
    for (const entry of level) {
      if (entry.isFile) files.push(await fileOf(entry));
      else below.push(...(await childrenOf(entry)));
    }
    level = below;
  }
  return { files, isFolder: true };
}

// Of a folder only what an adapter consists of; PEFT writes a README and more beside it.
export function adapterFiles(files, names, isArchive) {
  const chosen = names.map((name) => files.find((file) => file.name === name)).filter(Boolean);
  if (chosen.length) return chosen;
  const archives = files.filter(isArchive);
  return archives.length === 1 ? archives : [];
}

function fileOf(entry) {
  return new Promise((resolve, reject) => { entry.file(resolve, reject); });
}

async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) { // a browser gives a hundred at a time
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length || children.length > MOST_ENTRIES) return children;
    children.push(...some);
  }
}
