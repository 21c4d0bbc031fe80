"""Transitions: write down what was found on an engine, and move versions by it. Last, what people ask for."""

from collections.abc import Iterable, Sequence
from itertools import batched

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from adapters.engines import client as engine_client
from adapters.errors import VersionMoved
from adapters.models import AdapterVersion, Engine, Placement, Status, Style
from adapters.models.styles import is_public_now
from adapters.placement import planner
from adapters.releases import aliases
from adapters.routing import publisher
from core import months
from core.messages import Message, MessageCode
from events.models import EventType
from events.outbox import record_event
from metering.price_book import Hosted, record_hosted

# In the order of a life, so that a version that moves on meanwhile is met at one of the later tries.
RETIRABLE = (
    Status.UPLOADING,
    Status.UPLOADED,
    Status.VALID,
    Status.PUSHING,
    Status.SERVING,
    Status.FAILED,
)

# bulk_update writes a CASE with a branch for each row; long ones are slow to plan.
ROWS_PER_UPDATE = 200
HOSTED_STYLES_PER_BATCH = 500


class VersionNote(MessageCode):
    """What a version that ended, or that no engine takes, says of itself."""

    NO_ENGINE_TAKES_IT = _("No engine can load it until one restarts. {reason}")
    FAILED = _("Version {number} failed.")
    RETIRED = _("Version {number} was retired.")


def mark_unloaded(*placements: Placement) -> None:
    """Note that an engine has forgotten versions."""
    with transaction.atomic():
        rows = Placement.objects.lock(placement.pk for placement in placements)
        if rows.exclude(loaded_at=None).update(loaded_at=None, loaded_as=""):
            publisher.mark_changed(*{placement.version.style for placement in placements})


def mark_loaded(placement: Placement, name: str, *, loads: int = 0) -> bool:
    """Note that an engine has a version under a name, and let it serve; False if it is unwanted by now."""
    with transaction.atomic():
        # One UPDATE with its condition: that the version is retired at this moment is seen.
        desired = Placement.objects.filter(pk=placement.pk, is_desired=True)
        if not desired.update(loaded_at=timezone.now(), loaded_as=name, loads=F("loads") + loads, note=""):
            return False
        if placement.version.move(before=Status.PUSHING, after=Status.SERVING):
            aliases.auto_promote(placement.version)
            _record(EventType.VERSION_SERVING, placement.version)
        else:
            publisher.mark_changed(placement.version.style)
        record_hosted_styles([placement.version.style])
    return True


def mark_all_loaded(engine: Engine, placements: Sequence[Placement], *, loads: int = 0) -> None:
    """Note the same of many versions that serve already, in a few queries; unwanted ones are left alone."""
    with transaction.atomic():
        rows = Placement.objects.lock(placement.pk for placement in placements)
        desired = set(rows.filter(is_desired=True).values_list("pk", flat=True))
        placements = [placement for placement in placements if placement.pk in desired]
        for placement in placements:
            placement.loaded_at = timezone.now()
            placement.loaded_as = engine.adapter_name(placement.version_id)
            placement.note = Message()
            placement.loads = F("loads") + loads
        changed_fields = ["loaded_at", "loaded_as", "note", "loads"]
        Placement.objects.bulk_update(placements, changed_fields, ROWS_PER_UPDATE)
        version_ids = [placement.version_id for placement in placements]
        AdapterVersion.objects.filter(pk__in=version_ids).exclude(note="").update(note="")
        styles = {placement.version.style for placement in placements}
        publisher.mark_changed(*styles)
        record_hosted_styles(styles)


def mark_rejected(placement: Placement, reason: Message, *, by_engine: bool) -> None:
    """Give a placement up for a reason that people may read; a version that no other engine takes has failed.

    One that has served before and that an engine refuses waits instead: it is the engine that has changed,
    and all that it refuses is tried again when its next process serves.
    """
    version = placement.version
    with transaction.atomic():
        Placement.objects.filter(pk=placement.pk).update(
            is_desired=False, loaded_at=None, loaded_as="", note=reason
        )
        _seek_other_engine(version, reason, by_engine=by_engine)
        publisher.mark_changed(version.style)  # last: a style is locked after its versions


def _seek_other_engine(version: AdapterVersion, reason: Message, *, by_engine: bool) -> None:
    """Let a version that one engine refused go to another, wait, or fail."""
    # Another engine has it, or is about to load it.
    if version.placements.filter(is_desired=True).exists():
        return
    if planner.eligible_engines(version).exists():
        planner.request_placement(version)
        return
    if by_engine and version.status == Status.SERVING:
        version.wait(VersionNote.NO_ENGINE_TAKES_IT(reason=reason))
        return
    # Whichever it is by now: another worker may have moved it since it was read.
    has_failed = False
    for before in (Status.PUSHING, Status.SERVING):
        if version.move(before=before, after=Status.FAILED, failure=reason):
            has_failed = True
    aliases.fall_back(version.style, VersionNote.FAILED(number=version.number))
    if has_failed:
        _record(EventType.VERSION_FAILED, version)


def is_answering(version: AdapterVersion) -> bool:
    """Return whether an engine lists a version at this very moment. Raises EngineUnavailable."""
    loaded = version.placements.exclude(loaded_at=None).select_related("engine")
    return any(placement.loaded_as in engine_client.list_adapters(placement.engine) for placement in loaded)


def retire_version(version: AdapterVersion) -> None:
    """End a version for good, whatever it is just doing. Retiring it twice does nothing.

    Engines forget it at the next pass; its files stay, since an engine may still need them.
    """
    with transaction.atomic():
        # Placements first, in the order of `mark_loaded`: so the two never wait for each other.
        version.placements.update(is_desired=False, loaded_at=None, loaded_as="")
        if any(version.move(before=before, after=Status.RETIRED) for before in RETIRABLE):
            aliases.fall_back(version.style, VersionNote.RETIRED(number=version.number))
            _record(EventType.VERSION_RETIRED, version)


def retry_version(version: AdapterVersion) -> None:
    """Push a failed version again. Raises VersionMoved when it has not failed."""
    with transaction.atomic():
        if not version.move(before=Status.FAILED, after=Status.VALID, failure=Message()):
            raise VersionMoved
        publisher.mark_changed(version.style)


def _record(event_type: EventType, version: AdapterVersion) -> None:
    """Record what became of a version, once the aliases have moved: the event says whether it is live."""
    version.style.refresh_from_db(fields=["live_version", "canary_version"])
    record_event(version.style.owner_id, event_type, version)


def record_hosted_styles(styles: Iterable[Style]) -> None:
    """Note for billing those of some styles that are private, as hosted in the present month."""
    ids = [style.pk for style in styles]
    private = Style.objects.filter(pk__in=ids, owner__is_first_party=False).exclude(is_public_now())
    hosted = []
    for style in private.select_related("owner"):
        hosted.append(Hosted(style.owner_id, style.pk, style.model_name))
    record_hosted(hosted, months.current())


def record_all_hosted() -> None:
    """Note every private style that an engine has now: those that stay loaded from month to month, too."""
    loaded = Placement.objects.filter(is_desired=True, loaded_at__isnull=False, engine__is_gone=False)
    styles = Style.objects.filter(pk__in=loaded.values("version__style"))
    for batch in batched(styles.order_by("pk").iterator(HOSTED_STYLES_PER_BATCH), HOSTED_STYLES_PER_BATCH):
        record_hosted_styles(batch)
