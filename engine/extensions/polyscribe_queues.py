"""On a CPU, vLLM's processes sleep until a message arrives.

The EngineCore and the worker exchange messages in shared memory. vLLM's reader asks for the next one without
a pause, for up to a second: the EngineCore takes a whole core while the worker computes. Beside a GPU that
saves some microseconds; here it is a core that the model, the gateway and the site need.
"""

from vllm.distributed.device_communicators import shm_broadcast

LONGEST_SLEEP_MS = 1_000  # what a lost notice may cost


class SleepingCondition(shm_broadcast.SpinCondition):
    """Waits for the writer's notice at once, as vLLM does after a second without messages."""

    def __init__(self, *arguments: object, **keywords: object) -> None:
        super().__init__(*arguments, **keywords)
        self.busy_loop_s = 0

    def wait(self, timeout_ms: int | None = None) -> None:
        """Return when a message may be there, or after so many milliseconds."""
        super().wait(LONGEST_SLEEP_MS if timeout_ms is None else min(timeout_ms, LONGEST_SLEEP_MS))


def install() -> None:
    """Let queues that are made from now on sleep. Raises AttributeError where vLLM has no such names."""
    assert shm_broadcast.SpinCondition.wait
    shm_broadcast.SpinCondition = SleepingCondition
