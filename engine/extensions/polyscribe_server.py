"""`python -m polyscribe_server`: vLLM's OpenAI server with its own options, ready in half the time on a CPU.

vLLM imports for seconds in each of its processes, one after the other. A spawned process imports its
parent's main module again: this one imports nothing until it runs. On a CPU, vLLM spawns the EngineCore and
the worker, and a model that it sees for the first time is inspected in one more process. There only the
worker has to be spawned, because its threads are bound to cores while its libraries load.
"""

import multiprocessing
from runpy import run_module

SERVER = "vllm.entrypoints.openai.api_server"  # the `vllm` command fails in the CPU package


def main() -> None:
    """Serve until a signal ends it. Raises where vLLM is not the one we know."""
    import polyscribe_evidence  # noqa: PLC0415
    from vllm.platforms import current_platform  # noqa: PLC0415

    if current_platform.is_cpu():
        start_fewer_processes()
    polyscribe_evidence.install()
    run_module(SERVER, run_name="__main__")


def start_fewer_processes() -> None:
    """Fork the EngineCore, as vLLM's library does by default; inspect a model without a process of its own.

    Raises AttributeError where vLLM has no such names.
    """
    from vllm.model_executor.models import registry  # noqa: PLC0415
    from vllm.v1.engine import utils  # noqa: PLC0415

    assert utils.get_mp_context  # an EngineCore's start looks here for it, a worker's elsewhere
    utils.get_mp_context = lambda: multiprocessing.get_context("fork")
    assert registry._run_in_subprocess  # so that no GPU is initialised
    registry._run_in_subprocess = lambda inspect: inspect()


if __name__ == "__main__":
    main()
