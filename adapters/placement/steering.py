"""What operators have an engine do: drain it, take it back, let it try again, and read its own limits."""

from django.db import transaction

from adapters.engines import readiness
from adapters.errors import NothingNew, UnchangedDraining
from adapters.models import Engine, Status
from adapters.routing import publisher


def set_draining(engine: Engine, *, is_draining: bool) -> None:
    """Let an engine take no new styles and requests, or take them again. Raises UnchangedDraining."""
    with transaction.atomic():
        others = Engine.objects.filter(pk=engine.pk, is_gone=False).exclude(is_draining=is_draining)
        if not others.update(is_draining=is_draining):
            raise UnchangedDraining
        publisher.mark_engines_changed([engine.pk], are_places_new=True)


def try_again(engine: Engine) -> int:
    """Let an engine try at once what it could not load, or refused; return how many styles that are."""
    with transaction.atomic():
        waiting = engine.placements.exclude(retry_at=None).update(retry_at=None)
        refused = engine.placements.filter(is_desired=False, version__status=Status.SERVING).exclude(note="")
        return waiting + refused.update(note="")


def take_limits(engine: Engine) -> dict[str, int]:
    """Give an engine's row the limits that the engine itself tells; return those that changed.

    Raises EngineUnavailable, and NothingNew where the row has them already.
    """
    told = readiness.read_limits(engine)
    changed = {name: limit for name, limit in told.items() if limit != getattr(engine, name)}
    if not changed:
        raise NothingNew
    with transaction.atomic():
        Engine.objects.filter(pk=engine.pk).update(**changed)
        publisher.mark_engines_changed([engine.pk], are_places_new="max_model_len" in changed)
    return changed
