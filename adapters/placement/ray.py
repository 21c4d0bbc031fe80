"""Ray clusters: engines that pull an adapter from the storage by themselves, when a request names it.

A cluster serves each folder of sealed files as `<base model>:<version id>`, on any of its replicas, and keeps
copies on its nodes. So nothing is laid or pushed for it, and a restart makes it forget nothing. Its list of
models reads the whole bucket and tells no more than our rows do: it is never asked for.
"""

from adapters.engines import identity
from adapters.models import Engine, Placement, Status
from adapters.placement import loader
from foundation.errors import Unavailable

PROBED_AT_ONCE = 10  # about as many seconds


def load_missing_on_cluster(engine: Engine) -> bool:
    """Let serve what is wanted on a cluster; return True if more is left for the next pass.

    A version that is new is probed first, which also makes one of the replicas pull it. What already serves
    elsewhere is pulled when somebody asks for it. Raises EngineUnavailable.
    """
    try:
        identity.seal_identity(engine.base_model)
    except Unavailable as error:
        loader.record_unavailable(engine, error.message)
        return False
    engine.placements.filter(is_desired=False).exclude(loaded_at=None).update(loaded_at=None, loaded_as="")
    missing = engine.placements.missing().select_related("engine__base_model", "version__style")
    new = missing.filter(version__status=Status.PUSHING).order_by("version__created_at")
    found: list[Placement] = [*missing.filter(version__status=Status.SERVING), *new[:PROBED_AT_ONCE]]
    loader.confirm_loaded(engine, {one: engine.cluster_name(one.version_id) for one in found}, loads=1)
    return new.exists()
