"""What train.py and evidence.py do as child processes of a worker."""

import os
import threading

STANDARD_INPUT = 0
NICENESS = 19  # serving comes first
WORKER_HELP = "run at the lowest priority, and exit when standard input is closed: the worker is gone"


def follow_worker() -> None:
    """Run at the lowest priority, and exit when the worker does."""
    os.nice(NICENESS)
    threading.Thread(target=end_with_worker, daemon=True).start()


def end_with_worker() -> None:
    """Exit as soon as standard input is closed: the worker is gone, and nobody reads the output."""
    # Not with sys.stdin: Python aborts at exit if a thread is still waiting in it.
    while os.read(STANDARD_INPUT, 1):
        pass
    os._exit(1)


def set_environment(threads: int) -> None:
    """Set the variables that libraries read when they are imported."""
    os.environ.update(
        CUBLAS_WORKSPACE_CONFIG=":4096:8",  # makes cuBLAS deterministic
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_OFFLINE="1",
        OMP_NUM_THREADS=str(threads),
        OMP_WAIT_POLICY="PASSIVE",  # a waiting thread leaves its processor to the engine
        TOKENIZERS_PARALLELISM="false",
        TRANSFORMERS_VERBOSITY="error",
    )
