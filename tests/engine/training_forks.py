"""Start train.py, or evidence.py if there is evidence.json, in forks: `training_forks.py FOLDER`.

Alone, each would import PyTorch for seconds. The process writes the tiny base models into FOLDER first. Then
each line of standard input is a job's folder, and the answers are the process id and the exit status. The
standard output of what is started is the named pipe JOB/events.
"""

import importlib
import os
import sys
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS.parents[1] / "engine")]

BASES = {"llama": "llama", "qwen2": "qwen2", "mistral": "mistral", "broken": "llama"}


def write_bases(folder: Path) -> None:
    tiny_base = importlib.import_module("tiny_base")
    texts = [(folder / "texts.txt").read_text()]
    for name, family in BASES.items():
        tiny_base.write_base(folder / name, family, texts, is_broken=name == "broken")


def run_training(job: str) -> int:
    """Return the exit status of the program, in this process."""
    name = "evidence" if os.path.exists(f"{job}/evidence.json") else "train"
    program = importlib.import_module(name)
    events = os.open(f"{job}/events", os.O_WRONLY)
    os.dup2(events, 1)
    os.close(events)
    sys.argv = [name, job]
    return program.main()


def main() -> None:
    write_bases(Path(sys.argv[1]))
    for name in ("train", "evidence", "trainer.preparation", "scoring.figures"):
        importlib.import_module(name)
    print("ready", flush=True)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os._exit(run_training(line.strip()))
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
