"""Ray clusters: engines that pull an adapter from the storage by themselves, when a request names it.

A cluster serves each folder of sealed files as `<base model>:<version id>`, on any of its replicas, and keeps
copies on its nodes. So nothing is cached or pushed for it, and a restart makes it forget nothing. Its list of
models reads the whole bucket and says no more than our rows do: nobody asks for it.
"""

from adapters.models import Engine, Placement, Status
from adapters.placement import loader

MAX_PROBES_PER_PASS = 10  # each takes about a second


def load_missing_on_cluster(engine: Engine) -> bool:
    """Let versions serve that are wanted on a cluster; return True if more is left for the next pass.

    A version that is new is probed first, which also makes one of the replicas pull it. One that serves
    elsewhere already is pulled when a request asks for it. Raises EngineUnavailable.
    """
    engine.placements.filter(is_desired=False).exclude(loaded_at=None).update(loaded_at=None, loaded_as="")
    missing = engine.placements.missing().select_related("engine__base_model", "version__style")
    new = missing.filter(version__status=Status.PUSHING).order_by("version__created_at")
    names: dict[Placement, str] = {}
    for placement in [*missing.filter(version__status=Status.SERVING), *new[:MAX_PROBES_PER_PASS]]:
        names[placement] = engine.cluster_name(placement.version_id)
    loader.confirm_loaded(engine, names, loads=1)
    return new.exists()
