"""The environment variables that the site's processes get: the same names that docker-compose.yml sets."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from stack import postgres, seaweed, valkey
from stack.errors import StackError
from stack.folders import MODELS, Credentials, Folders

# Unix domain sockets of a stack: no port that another user of this machine could reach.

LONGEST_PATH_BYTES = 103  # macOS takes no longer path of a socket, Linux takes 107
UNIX = "unix"
VLLM_SOCKET = "x" * 36  # as long as a UUID


def fits(path: Path) -> bool:
    """Return whether a path is short enough for a socket."""
    return len(os.fsencode(path)) <= LONGEST_PATH_BYTES


def is_plain(path: Path) -> bool:
    """Return whether a path stands in an address as it is, without escapes."""
    return quote(str(path)) == str(path)


def address_of(path: Path) -> str:
    """Return the address of a socket whose path is plain."""
    return f"{UNIX}://{path}"


def split_address(url: str) -> tuple[str, str]:
    """Return the URL for an HTTP client, and the path of the socket that it must use, "" for a port."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return "http://localhost", parts.path
    return url, ""


DEFAULT_BASE_MODEL = "SmolLM2-135M-Instruct"
MAX_ENGINES = 8
CPU_FACTS = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Addresses:
    """Where this stack's parts listen: ports on loopback, and the engines' sockets.

    Where `engine_sockets` is empty, engines listen at their ports: in a Ray cluster, or because the paths
    would be too long. `engine_url` may lead to another machine.
    """

    postgres: int
    valkey: int
    s3: int
    web: int
    engine_port: int
    engine_url: str
    further_engine_ports: tuple[int, ...] = ()
    engine_sockets: tuple[Path, ...] = ()

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self.s3}"


def base_model() -> tuple[str, str]:
    """Return what to prepare ($BASE_MODEL: a name, a hub id or a folder) and its name in the engine."""
    wanted = os.environ.get("BASE_MODEL") or DEFAULT_BASE_MODEL
    return wanted, Path(wanted).resolve().name if Path(wanted).is_dir() else wanted


def base_model_folder() -> Path:
    """Return where the base model's files are: $BASE_MODEL_DIR, or the folder that the stack fills."""
    given = os.environ.get("BASE_MODEL_DIR")
    return Path(given).absolute() if given else MODELS / base_model()[1].replace("/", "--")


def engine_count() -> int:
    """Return how many vLLM servers this stack starts ($ENGINES). Raises StackError."""
    wanted = os.environ.get("ENGINES") or "1"
    if wanted not in map(str, range(1, MAX_ENGINES + 1)):
        raise StackError(f"ENGINES={wanted} is not a valid number of engines. Use 1 to {MAX_ENGINES}.")
    if wanted != "1" and has_no_sockets():
        raise StackError("ENGINES starts vLLM servers on this machine. Unset ENGINE_URL and ENGINE_KIND.")
    return int(wanted)


def has_no_sockets() -> bool:
    """Return whether the engine is on another machine, or a Ray cluster: both have ports only."""
    return bool(os.environ.get("ENGINE_URL")) or os.environ.get("ENGINE_KIND") == "ray"


def device() -> str:
    """Return what the engine runs on, where $ENGINE_DEVICE does not say: elsewhere, that is a GPU."""
    if os.environ.get("ENGINE_URL"):
        return "cuda"
    smi = shutil.which("nvidia-smi")
    return "cuda" if smi and subprocess.run([smi, "-L"], capture_output=True).returncode == 0 else "cpu"


def site_variables(folders: Folders, addresses: Addresses, credentials: Credentials) -> dict[str, str]:
    """Return every variable of `platform/config/variables.py` that a stack decides."""
    cache = f"redis://:{credentials.valkey_password}@127.0.0.1:{addresses.valkey}"
    account = f"{postgres.USER}:{credentials.postgres_password}"
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_SECRET_KEY": credentials.django_secret_key,
        "DJANGO_DEBUG": os.environ.get("DJANGO_DEBUG", "0"),
        "DJANGO_ALLOWED_HOSTS": os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1"),
        "SITE_URL": addresses.site,
        "WEB_WORKERS": os.environ.get("WEB_WORKERS", "1"),
        "DATABASE_URL": f"postgres://{account}@127.0.0.1:{addresses.postgres}/{postgres.DATABASE}",
        "VALKEY_URL": valkey.url(folders, addresses.valkey, credentials.valkey_password),
        "CELERY_BROKER_URL": f"{cache}/1",
        "S3_ENDPOINT_URL": addresses.storage,
        "S3_PUBLIC_ENDPOINT_URL": addresses.storage,
        "S3_BUCKET": seaweed.BUCKET,
        "S3_REGION": seaweed.REGION,
        "AWS_ACCESS_KEY_ID": credentials.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.s3_secret_key,
        "API_KEY_PEPPERS": f"1:{credentials.api_key_pepper}",
        "CACHE_SALT_SECRET": credentials.cache_salt,
        "RESPONSES_STORE": "on",  # each workspace decides for itself
        "WATERMARK_KEYS": f"1:{credentials.watermark_key}",
        "RECEIPT_KEYS": f"1:{credentials.receipt_key}",
        # On one's own machine, Obsidian's apps may call it as well.
        "API_ALLOWED_ORIGINS": "app://obsidian.md,capacitor://localhost,http://localhost",
        "WEBHOOKS_TO_LOOPBACK": "1",  # so that a program on this machine can receive them
        "DEMO_SECRETS_FILE": str(folders.var / "demo.json"),
        "EMAIL_URL": os.environ.get("EMAIL_URL") or f"file://{folders.mail}",
        "MAILBOX": "0" if os.environ.get("EMAIL_URL") else "1",
        **engine_variables(folders, addresses, credentials),
    }


def further_engines(variables: Mapping[str, str], addresses: Addresses) -> list[dict[str, str]]:
    """Return the variables of the second engine and so on, and of the worker beside each."""
    return [
        {
            **variables,
            **engine_address(addresses, port, number),
            "ENGINE_NAME": f"{variables['ENGINE_NAME']}-{number}",
            "ENGINE_ADAPTERS_DIR": f"{variables['ENGINE_ADAPTERS_DIR']}-{number}",
        }
        for number, port in enumerate(addresses.further_engine_ports, 2)
    ]


def engine_sockets(folders: Folders, count: int) -> tuple[Path, ...]:
    """Return the paths at which this stack's engines listen, none where they listen at ports.

    An empty $ENGINE_SOCKET asks for ports, another one is the first engine's path. A Ray cluster has ports.
    Raises StackError for a path that is no socket's.
    """
    given = os.environ.get("ENGINE_SOCKET")
    if given == "" or has_no_sockets():
        return ()
    first = Path(given).absolute() if given else folders.var.absolute() / "engine" / "engine.sock"
    paths = [first]
    for number in range(2, count + 1):
        paths.append(first.with_stem(f"{first.stem}-{number}"))
    if all(fits(path) and is_plain(path) for path in paths):
        return tuple(paths)
    if given:
        raise StackError(
            f"ENGINE_SOCKET={given} is not a valid socket path. Use a short path of plain letters."
        )
    return ()


def engine_address(addresses: Addresses, port: int, number: int = 1) -> dict[str, str]:
    """Return the variables that say where one of this stack's engines listens."""
    if not addresses.engine_sockets:
        return {"ENGINE_URL": f"http://127.0.0.1:{port}", "ENGINE_PORT": str(port), "ENGINE_SOCKET": ""}
    path = addresses.engine_sockets[number - 1]
    return {"ENGINE_URL": address_of(path), "ENGINE_PORT": str(port), "ENGINE_SOCKET": str(path)}


def default_dtype(runs_on: str) -> str:
    """Return the precision that the engine computes in: float32 on an x86 processor without AVX-512.

    There bfloat16 is emulated: an AMD EPYC of two cores wrote 9 tokens/s in bfloat16 and 39 in float32, eight
    requests at once. The base model takes twice the memory.
    """
    if runs_on != "cpu" or platform.machine() != "x86_64":
        return "bfloat16"
    has_avx512 = "avx512f" in CPU_FACTS.read_text().split()
    return "bfloat16" if has_avx512 else "float32"


def engine_variables(folders: Folders, addresses: Addresses, credentials: Credentials) -> dict[str, str]:
    """Return what the site and the engine must agree on; a person's own values win."""
    runs_on = device()
    defaults = {
        "ENGINE_NAME": "local",
        "ENGINE_KIND": "vllm",
        "ENGINE_REPLICAS": "2" if os.environ.get("ENGINE_KIND") == "ray" else "1",
        "ENGINE_DEVICE": runs_on,
        "ENGINE_MAX_LORAS": "8",
        "ENGINE_MAX_CPU_LORAS": "64",
        "ENGINE_MAX_LORA_RANK": "16",
        "ENGINE_MAX_MODEL_LEN": "2048",
        "ENGINE_MAX_NUM_SEQS": "8" if runs_on == "cpu" else "128",
        "ENGINE_DTYPE": default_dtype(runs_on),
        "ENGINE_API_KEY": credentials.engine_api_key,
        "ENGINE_ADAPTERS_DIR": str(folders.adapters),
    }
    if runs_on == "cpu" and (further := len(addresses.further_engine_ports)):
        # Else vLLM binds the threads of all to the same core, where one that starts is starved.
        threads = max(1, (len(os.sched_getaffinity(0)) - 1) // (1 + further))
        defaults |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(threads)}
    # vLLM's processes meet at sockets with UUIDs for names, and it removes none of them.
    if folders.temporary and fits(folders.var.absolute() / VLLM_SOCKET):
        defaults["VLLM_RPC_BASE_PATH"] = str(folders.var.absolute())
    return {
        **{name: os.environ.get(name) or default for name, default in defaults.items()},
        **engine_address(addresses, addresses.engine_port),
        "ENGINE_URL": addresses.engine_url,
        "BASE_MODEL": base_model()[1],
        "BASE_MODEL_DIR": str(base_model_folder()),
    }
