import json
import os
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from engine import serve
from inference.contract.field_checks import MAX_STOPS
from tests.engine.engine_python import CPU, ENGINE_PYTHON, needs_vllm, option, vllm_environment


def arguments_of(**environment: str) -> list[str]:
    """Return vLLM's command line where the environment says so; on a CPU unless it says that, too."""
    return serve.server_arguments(serve.read_settings(CPU | environment))


def test_the_defaults_serve_many_adapters_on_loopback_only():
    arguments = arguments_of()
    assert option(arguments, "--host") == "127.0.0.1"
    assert option(arguments, "--max-loras") == "8"
    assert option(arguments, "--max-cpu-loras") == "64"
    assert option(arguments, "--max-lora-rank") == "16"
    assert option(arguments, "--api-server-count") == "1"
    assert "--enable-lora" in arguments


def test_every_variable_reaches_vllm():
    named = {
        "BASE_MODEL": ("--served-model-name", "Tiny"),
        "BASE_MODEL_DIR": ("--model", "/models/tiny"),
        "ENGINE_HOST": ("--host", "10.0.0.5"),
        "ENGINE_PORT": ("--port", "8123"),
        "ENGINE_DTYPE": ("--dtype", "float32"),
        "ENGINE_MAX_LORAS": ("--max-loras", "3"),
        "ENGINE_MAX_CPU_LORAS": ("--max-cpu-loras", "5"),
        "ENGINE_MAX_LORA_RANK": ("--max-lora-rank", "32"),
        "ENGINE_MAX_MODEL_LEN": ("--max-model-len", "512"),
        "ENGINE_MAX_NUM_SEQS": ("--max-num-seqs", "7"),
    }
    variables = {variable: value for variable, (_, value) in named.items()}
    arguments = arguments_of(ENGINE_DEVICE="cuda", **variables)
    assert {name: option(arguments, name) for name, _ in named.values()} == dict(named.values())


def test_a_socket_takes_the_place_of_a_port_and_of_what_was_left_behind(tmp_path, own_umask):
    path = tmp_path / "run" / "engine.sock"
    assert option(arguments_of(ENGINE_SOCKET=str(path)), "--uds") == str(path)
    assert "--uds" not in arguments_of()
    serve.prepare_socket(path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))  # as vLLM does
        serve.prepare_socket(path)
        assert not path.exists()
    path.write_text("notes")
    with pytest.raises(serve.CannotServe, match="not a socket"):
        serve.prepare_socket(path)
    with pytest.raises(serve.CannotServe, match="shorter path"):
        serve.prepare_socket(tmp_path / ("a" * 120))


@pytest.mark.parametrize(("folder_mode", "socket_mode"), [(0o700, 0o700), (0o750, 0o770), (0o755, 0o770)])
def test_only_its_user_may_connect_to_a_socket_and_the_group_that_its_folder_lets_in(
    tmp_path, own_umask, folder_mode, socket_mode
):
    path = tmp_path / "engine.sock"
    tmp_path.chmod(folder_mode)
    serve.prepare_socket(path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    assert path.stat().st_mode & 0o777 == socket_mode


@pytest.fixture
def own_umask():
    """Whatever a test does to this process's umask ends with it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_what_vllm_may_do_is_in_its_variables():
    variables = {
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        "HF_HUB_OFFLINE": "1",  # nothing is fetched
        "VLLM_NO_USAGE_STATS": "1",  # nothing is reported
        "VLLM_MAX_STOP_STRINGS": str(MAX_STOPS),  # as many as the gateway serves
    }
    assert serve.engine_environment(serve.read_settings(CPU)).items() >= variables.items()


@pytest.mark.parametrize(("requests", "tokens"), [("8", "128"), ("256", "256")])
def test_a_step_of_a_cpu_engine_is_short_and_has_a_token_for_every_request(requests, tokens):
    assert option(arguments_of(ENGINE_MAX_NUM_SEQS=requests), "--max-num-batched-tokens") == tokens


def test_no_medium_is_read_and_no_machine_is_asked_for_one():
    arguments = arguments_of()
    assert json.loads(option(arguments, "--limit-mm-per-prompt")) == {"image": 0, "video": 0, "audio": 0}
    assert option(arguments, "--allowed-media-domains").endswith(".invalid")  # none has such a name: RFC 2606
    assert "--allowed-local-media-path" not in arguments


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_request_chooses_what_compiles_everybodys_grammars(device):
    config = option(arguments_of(ENGINE_DEVICE=device), "--structured-outputs-config")
    assert json.loads(config) == {"backend": "guidance"}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_vllm_imports_of_ours_is_on_its_path(device):
    settings = serve.read_settings({"ENGINE_DEVICE": device})
    arguments = serve.server_arguments(settings)
    named = [option(arguments, "--middleware")]
    if device == "cpu":
        named += [option(arguments, "--worker-cls"), option(arguments, "--scheduler-cls")]
    assert ("--worker-cls" in arguments) == ("--scheduler-cls" in arguments) == (device == "cpu")
    for module, _, name in (dotted.partition(".") for dotted in named):
        file = Path(serve.engine_environment(settings)["PYTHONPATH"]) / f"{module}.py"
        assert f"class {name}" in file.read_text()


def test_the_key_is_in_the_environment_and_never_on_the_command_line():
    settings = serve.read_settings({**CPU, "ENGINE_API_KEY": "sk-secret"})
    assert serve.engine_environment(settings)["VLLM_API_KEY"] == "sk-secret"
    assert "sk-secret" not in " ".join(serve.server_arguments(settings))


KEYS = "1:00000000000000aa,3:0123456789ABCDEF,2:00000000000000bb"


@pytest.mark.parametrize(
    ("chosen", "epoch", "key"), [("", 3, 0x0123456789ABCDEF), ("1", 1, 0xAA), (" 2\n", 2, 0xBB)]
)
def test_the_chosen_watermark_key_marks_or_the_latest(chosen, epoch, key):
    settings = serve.read_settings({**CPU, "WATERMARK_KEYS": KEYS, "WATERMARK_KEY": chosen})
    assert settings.watermark == serve.WatermarkKey(epoch, key)
    assert f"{key:x}" not in repr(settings)
    assert serve.engine_environment(settings)["POLYSCRIBE_WATERMARK"] == f"{epoch}:{key:016x}"


def test_an_engine_without_a_key_marks_nothing():
    assert "POLYSCRIBE_WATERMARK" not in serve.engine_environment(serve.read_settings(CPU))


@pytest.mark.parametrize(
    "keys", ["1", "1:", "1:abc", "x:00000000000000aa", "0:00000000000000aa", f"{KEYS},1:00000000000000cc"]
)
def test_wrong_watermark_keys_are_named_without_being_shown(keys):
    with pytest.raises(serve.CannotServe, match="WATERMARK_KEYS") as caught:
        serve.read_settings({**CPU, "WATERMARK_KEYS": keys})
    assert "00aa" not in str(caught.value)


@pytest.mark.parametrize(("keys", "chosen"), [(KEYS, "4"), (KEYS, "latest"), ("", "1")])
def test_a_watermark_key_that_is_not_there_is_named(keys, chosen):
    with pytest.raises(serve.CannotServe, match="WATERMARK_KEY isn't an epoch"):
        serve.read_settings({**CPU, "WATERMARK_KEYS": keys, "WATERMARK_KEY": chosen})


def test_watermark_keys_may_be_in_a_file(tmp_path):
    (tmp_path / "keys").write_text("7:00000000000000aa\n")
    settings = serve.read_settings({**CPU, "WATERMARK_KEYS_FILE": str(tmp_path / "keys")})
    assert settings.watermark == serve.WatermarkKey(7, 0xAA)
    with pytest.raises(serve.CannotServe, match="WATERMARK_KEYS_FILE"):
        serve.read_settings({**CPU, "WATERMARK_KEYS_FILE": str(tmp_path / "none")})


READS_OPTIONS = """
import sys
from vllm.engine.arg_utils import EngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = EngineArgs.add_cli_args(FlexibleArgumentParser())
arguments = parser.parse_args(["--model", "x", "--config", sys.argv[1]])
config = EngineArgs.create_watermark_config(arguments)
print(config.key, config.algorithm, config.context_width, config.deduplicate_contexts)
"""


def test_only_its_user_can_read_the_file_that_has_a_gpu_engines_key(tmp_path, monkeypatch):
    monkeypatch.setattr(serve.tempfile, "tempdir", str(tmp_path))
    file = serve.write_watermark_options(serve.WatermarkKey(3, 0xFEDCBA9876543210))
    assert file.stat().st_mode & 0o777 == 0o600
    gpu = serve.read_settings({"ENGINE_DEVICE": "cuda", "WATERMARK_KEYS": KEYS})
    assert serve.engine_environment(gpu)["POLYSCRIBE_WATERMARK"] == "3:"


def test_vllm_reads_a_gpu_engines_key_from_the_file(vllm_process):
    file = serve.write_watermark_options(serve.WatermarkKey(3, 0xFEDCBA9876543210))
    printed = vllm_process.ask(READS_OPTIONS, str(file))
    file.unlink()
    assert printed.split() == [str(0xFEDCBA9876543210), "gumbel", "4", "all"]


def test_only_a_cpu_engine_reserves_its_cache_in_main_memory():
    settings = serve.read_settings(CPU)
    assert "VLLM_CPU_KVCACHE_SPACE" in serve.engine_environment(settings)
    assert "VLLM_CPU_KVCACHE_SPACE" not in serve.engine_environment(replace(settings, device="cuda"))


@pytest.mark.parametrize("wrong", ["many", "-1", "0", "1.5"])
def test_a_wrong_number_is_named(wrong):
    with pytest.raises(serve.CannotServe, match="ENGINE_MAX_LORAS"):
        serve.read_settings({**CPU, "ENGINE_MAX_LORAS": wrong})


def test_a_missing_base_model_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: object())
    settings = replace(serve.read_settings(CPU), base_model_dir=tmp_path / "none")
    with pytest.raises(serve.CannotServe, match=r"prepare\.py --out"):
        serve.check_installation(settings)


def test_a_missing_vllm_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(serve.CannotServe, match=r"install\.py"):
        serve.check_installation(serve.read_settings({**CPU, "BASE_MODEL_DIR": str(Path("nowhere"))}))


@pytest.fixture
def compiler(monkeypatch, tmp_path) -> Path:
    """A machine that has a C++ compiler and Python's headers: the folder of both."""
    (tmp_path / "Python.h").touch()
    (tmp_path / "g++").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(serve.sysconfig, "get_path", {"include": str(tmp_path)}.get)
    return tmp_path


@pytest.mark.parametrize("missing", ["g++", "Python.h"])
def test_a_cpu_engine_runs_uncompiled_where_no_compiler_or_header_is_and_a_gpu_needs_neither(
    compiler, missing
):
    assert "--enforce-eager" not in arguments_of()
    (compiler / missing).unlink()
    assert "--enforce-eager" in arguments_of()
    assert missing in serve.missing_for_compiling()
    assert "--enforce-eager" not in arguments_of(ENGINE_DEVICE="cuda")


USES_COMPILED_FUNCTION = """
import torch
from vllm.v1.sample.ops.logprobs import batched_count_greater_than
print(batched_count_greater_than(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0]])).tolist())
"""


@needs_vllm
def test_functions_that_vllm_compiles_by_themselves_run_without_a_compiler_too(compiler, tmp_path):
    """vLLM reads while it is imported that it can't compile, so it is asked in a process of its own."""
    (compiler / "g++").unlink()
    environment = vllm_environment(HOME=str(tmp_path), PATH=str(compiler))
    command = [ENGINE_PYTHON, "-c", USES_COMPILED_FUNCTION]
    assert subprocess.run(command, env=environment, check=True, capture_output=True).stdout == b"[2]\n"


CHOOSES_BACKEND = """
import json
import sys
from types import SimpleNamespace
from transformers import AutoTokenizer
from vllm.config.structured_outputs import StructuredOutputsConfig
from vllm.exceptions import VLLMValidationError
from vllm.sampling_params import SamplingParams, StructuredOutputsParams

tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
for schema in json.loads(sys.argv[3]):
    parameters = SamplingParams(structured_outputs=StructuredOutputsParams(json=schema))
    model = SimpleNamespace(is_diffusion=False, skip_tokenizer_init=False)
    config = StructuredOutputsConfig(**json.loads(sys.argv[2]))
    try:
        parameters._validate_structured_outputs(model, config, tokenizer)
        print(parameters.structured_outputs._backend)
    except VLLMValidationError:
        print("refused")
"""
IN_A_NOTE = {"type": "object", "default": {"allOf": [{}, {}]}}  # vLLM looks for features in a `default`, too


def test_a_schema_that_one_compiler_does_not_follow_is_given_to_no_other(vllm_process):
    """By itself vLLM chooses several here. The first choice would be everybody's until the next restart."""
    settings = serve.read_settings(CPU)
    if not (settings.base_model_dir / "tokenizer.json").exists():
        pytest.skip("the base model is not here")
    config = option(serve.server_arguments(settings), "--structured-outputs-config")
    schemas = json.dumps([{"type": "object"}, IN_A_NOTE, {"patternProperties": {"^a": {}}}])
    chosen = vllm_process.ask(CHOOSES_BACKEND, str(settings.base_model_dir), config, schemas)
    assert chosen.split() == ["guidance"] * 3
