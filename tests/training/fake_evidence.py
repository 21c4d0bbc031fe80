"""An evidence program that speaks as engine/evidence.py does and measures nothing.

`fake_evidence.py JOB --worker`. It reads what the worker must have written into the job's folder.
"""

import json
import sys
from pathlib import Path

job = Path(sys.argv[1])
settings = json.loads((job / "evidence.json").read_text())
learned = (job / "learn.jsonl").read_text().splitlines()
assert (job / "validate.jsonl").exists()
assert sorted(file.name for file in (job / "adapter").iterdir()) == [
    "adapter_config.json",
    "adapter_model.safetensors",
]
print(json.dumps({"type": "progress", "percent": 50}), flush=True)
end = {
    "type": "end",
    "learned": {
        "bytes": [600, 400],
        "bits_per_byte": {"base": 1.5, "style": 1.4, "control": 1.45 if settings["control"] else None},
    },
    "repeats": {
        "examples": len(learned),
        "repeated": len(learned),
        "least_tokens": 50,
        "longest_tokens": 60,
        "passages": [{"line": 0, "first": 0, "end": 40, "base_tokens": 8, "is_repeated": True}],
    },
    "canaries": [{"bits": 1.5}, {"bits": 2.5}, {"bits": 0.5}],
}
print(json.dumps(end), flush=True)
