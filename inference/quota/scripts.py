"""The data plane's Lua scripts."""

from pathlib import Path

from core.rates import COUNT_IN_MINUTE


def _read(*names: str) -> str:
    """Return a script: one after the other, since later ones call the functions of earlier ones."""
    folder = Path(__file__).parent / "lua"
    return "".join([(folder / f"{name}.lua").read_text() for name in names])


ADMISSION = _read("access", "admission")
CHECK_ACCESS = _read("access", "check_access")
SETTLEMENT = _read("settlement")
EXTEND_LEASE = _read("extend_lease")
RESTORE_HOLD = _read("restore_hold")
PRUNE_CONSUMERS = _read("prune_consumers")
RECOVERY_GRACE = _read("recovery_grace")
REBUILD_COUNTERS = _read("rebuild_counters")
ACQUIRE_LOCK = _read("access", "acquire_lock")
RELEASE_LOCK = _read("release_lock")
REFUSALS = COUNT_IN_MINUTE + _read("refusals")
RECORD_METRICS = _read("record_metrics")
FORGET_REFUSALS = _read("forget_refusals")
