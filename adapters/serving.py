"""Which versions serve, and which one answers for its style."""

from django.db import transaction
from django.db.models import F, Subquery
from django.utils import timezone

from adapters import engine as control
from adapters import routes
from adapters.errors import VersionMoved
from adapters.models import AdapterVersion, Placement, Status, Style

# In the order of a life, so that a version that moves on meanwhile is met at one of the later tries.
RETIRABLE = (
    Status.UPLOADING,
    Status.UPLOADED,
    Status.VALID,
    Status.PUSHING,
    Status.SERVING,
    Status.FAILED,
)


def found(placement: Placement, name: str, *, loads: int = 0) -> bool:
    """Note that an engine has a version under a name, and let it serve; False if it is unwanted by now."""
    with transaction.atomic():
        wanted = Placement.objects.filter(pk=placement.pk, is_wanted=True)
        if not wanted.update(loaded_at=timezone.now(), loaded_as=name, loads=F("loads") + loads, note=""):
            return False
        placement.version.move(before=Status.PUSHING, after=Status.SERVING)
        appoint(placement.version.style)
    return True


def is_answering(version: AdapterVersion) -> bool:
    """Return whether an engine lists a version at this very moment. Raises EngineUnavailable."""
    placed = version.placements.exclude(loaded_at=None).select_related("engine")
    return any(placement.loaded_as in control.loaded(placement.engine) for placement in placed)


def lost(placement: Placement) -> None:
    """Note that an engine has forgotten a version."""
    with transaction.atomic():
        known = Placement.objects.filter(pk=placement.pk).exclude(loaded_at=None)
        if known.update(loaded_at=None, loaded_as=""):
            routes.changed(placement.version.style)


def refused(placement: Placement, reason: str) -> None:
    """Give a placement up for a reason that people may read; a version without any other one has failed."""
    version = placement.version
    with transaction.atomic():
        Placement.objects.filter(pk=placement.pk).update(
            is_wanted=False, loaded_at=None, loaded_as="", note=reason[:300]
        )
        if version.placements.filter(is_wanted=True).exists():
            return
        for before in (Status.PUSHING, Status.SERVING):
            version.move(before=before, after=Status.FAILED, failure=reason[:500])
        appoint(version.style)


def retire(version: AdapterVersion) -> None:
    """End a version for good, whatever it is just doing. Retiring it twice does nothing.

    Engines forget it at the next reconciling; its files stay, since an engine may still need them.
    """
    with transaction.atomic():
        retired = any([version.move(before=before, after=Status.RETIRED) for before in RETIRABLE])
        if retired:
            version.placements.update(is_wanted=False, loaded_at=None, loaded_as="")
            appoint(version.style)


def retry(version: AdapterVersion) -> None:
    """Push a failed version again. Raises VersionMoved when it has not failed."""
    with transaction.atomic():
        if not version.move(before=Status.FAILED, after=Status.VALID, failure=""):
            raise VersionMoved
        routes.changed(version.style)


def appoint(style: Style) -> None:
    """Let the newest serving version answer for its style."""
    # Locked first: of two appointments at once, the second sees what the first one's transaction did.
    Style.objects.select_for_update(no_key=True).get(pk=style.pk)
    newest = AdapterVersion.objects.filter(style=style, status=Status.SERVING).order_by("-number")
    Style.objects.filter(pk=style.pk).update(live_version=Subquery(newest.values("pk")[:1]))
    routes.changed(style)
