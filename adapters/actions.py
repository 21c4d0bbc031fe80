"""What members and programs change: each action with its line in the workspace's audit log.

Pages and the API call these, so that both do the same and log the same. An action is one transaction: the
change, its line, and the messages to workers, which are sent when it commits.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.workspaces import create_tenant
from adapters import enqueue
from adapters.catalog import price_changes, selection, sharing
from adapters.catalog.terms import Terms, asked_terms
from adapters.erasure import workflow
from adapters.models import AdapterVersion, BlindVote, Erasure, PriceChange, Selection, Share, Status, Style
from adapters.object_store import Upload
from adapters.placement import transitions
from adapters.releases import aliases, votes
from adapters.uploads import conversions, downloads, sessions
from adapters.uploads.downloads import DownloadableFile
from adapters.uploads.upload_request import StyleDescription
from tenants.access import Access, access_of_person
from tenants.models import Tenant, User


@transaction.atomic
def create_style(access: Access, slug: str, words: Mapping[str, Any]) -> Style:
    """Return a new style without files. Raises StyleRefused, SlugTaken or NoBaseModel."""
    style = sessions.create_style(access.tenant, slug, words)
    access.audit("style.created", style, after=words)
    return style


@transaction.atomic
def edit_style(access: Access, style: Style, words: Mapping[str, Any]) -> None:
    """Change what people read about a style. Raises StyleRefused with every fault."""
    before = {}
    after = {}
    for field, text in words.items():
        if getattr(style, field) != text:
            # The log has only what changed, not the whole form.
            before[field] = getattr(style, field)
            after[field] = text
    if after:
        selection.edit_style(style, after)
        access.audit("style.edited", style, before=before, after=after)


@transaction.atomic
def set_test_prompts(access: Access, style: Style, prompts: Sequence[str]) -> None:
    """Set the prompts on which versions are compared."""
    selection.set_test_prompts(style, prompts)
    access.audit("style.prompts_set", style, after={"test_prompts": list(prompts)})


@transaction.atomic
def delete_style(access: Access, style: Style, *, at_once: bool) -> list[Erasure]:
    """Begin to erase all versions of a style; return the erasures. Raises StillUsed."""
    erasures = workflow.erase_style(style, access.user, at_once=at_once)
    for erasure in erasures:
        enqueue.enqueue_erasure(erasure.pk)
    access.audit("style.deleted", style, after={"at_once": at_once, "versions": len(erasures)})
    return erasures


@transaction.atomic
def select_style(access: Access, style: Style) -> None:
    """Take a style into the workspace's selection. Raises StyleNotFound for one that is not offered to it."""
    selection.select_style(access.tenant, style)
    access.audit("style.selected", style)


@transaction.atomic
def found_workspace(user: User, *, name: str, slug: str | None = None) -> Tenant:
    """Return a new workspace of a person, with the first party's styles selected.

    Raises ReservedName; and SlugTaken or BadSlug for a given slug.
    """
    with transaction.atomic():
        tenant = create_tenant(user, name=name, slug=slug)
        select_first_party_styles(access_of_person(user, tenant, address=None))
    return tenant


def select_first_party_styles(access: Access) -> list[Style]:
    """Select the first party's public styles; return those that were not selected before.

    A new workspace begins with them, so that its first request has a style to name.
    """
    new = selection.select_first_party_styles(access.tenant)
    for style in new:
        access.audit("style.selected", style)
    return new


@transaction.atomic
def try_styles(access: Access, styles: Sequence[Style]) -> list[Style]:
    """Select the styles that a person wants to hear; return those that were not selected before.

    Only what a workspace has selected answers it.
    """
    known = set(Selection.objects.filter(tenant=access.tenant).values_list("style", flat=True))
    new = [style for style in styles if style.pk not in known and style.owner_id != access.tenant.pk]
    for style in new:
        select_style(access, style)
    return new


@transaction.atomic
def choose_style(access: Access, style: Style, heard: Collection[UUID]) -> None:
    """Keep one of the styles that were selected to be heard. Raises StyleNotFound if it is not offered."""
    if style.owner_id != access.tenant.pk:
        was_selected = Selection.objects.filter(tenant=access.tenant, style=style).exists()
        if not was_selected:
            select_style(access, style)
    for other in Style.objects.filter(pk__in=heard).exclude(pk=style.pk):
        unselect_style(access, other)


@transaction.atomic
def unselect_style(access: Access, style: Style) -> None:
    """Take a style out of the workspace's selection. Doing it twice does nothing."""
    if selection.unselect_style(access.tenant, style):
        access.audit("style.unselected", style)


@transaction.atomic
def offer_style(access: Access, style: Style, asked: Terms | None = None) -> None:
    """Offer a style to the public catalogue, with what its owner asks for.

    Raises WithoutTerms, TermsOutOfBounds, SharePercent or SharingMoved.
    """
    before = asked_terms(style)
    sharing.offer_style(style, asked)
    after = asked_terms(style)
    if after == before:
        access.audit("style.offered", style)
    else:
        access.audit("style.offered", style, before=before.asked_columns, after=after.asked_columns)


@transaction.atomic
def ask_price(access: Access, style: Style, terms: Terms, first_day: date) -> PriceChange:
    """Ask for other prices of a public style. Raises what `price_changes.ask_price` does."""
    change = price_changes.ask_price(style, terms, first_day)
    after = {**terms.asked_columns, "first_day": first_day.isoformat()}
    access.audit("style.price_asked", style, after=after)
    return change


@transaction.atomic
def withdraw_price(access: Access, style: Style) -> PriceChange:
    """Withdraw what operators have not answered yet. Raises NoPriceChange, PriceAgreed."""
    change = price_changes.withdraw_price(style)
    access.audit("style.price_withdrawn", style)
    return change


@transaction.atomic
def withdraw_offer(access: Access, style: Style) -> None:
    """Withdraw an offer that is not answered yet. Raises SharingMoved."""
    sharing.withdraw_offer(style)
    access.audit("style.offer_withdrawn", style)


@transaction.atomic
def take_back_style(access: Access, style: Style) -> None:
    """Take a style out of the catalogue with notice. Raises SharingMoved."""
    sharing.take_back_style(style)
    access.audit("style.taken_back", style)


@transaction.atomic
def keep_public(access: Access, style: Style) -> None:
    """Leave a style in the catalogue after all. Raises SharingMoved."""
    sharing.keep_public(style)
    access.audit("style.kept_public", style)


@transaction.atomic
def share_style(access: Access, style: Style, name: str) -> Share:
    """Return the share of a style with the workspace of a short name.

    Raises VersionNotShareable, NoSuchWorkspace, ShortNameNeeded, OwnWorkspace or AlreadyShared.
    """
    share = sharing.share_style(style, name, access.user)
    access.audit("style.shared", style, after={"workspace": share.tenant.slug})
    return share


@transaction.atomic
def revoke_share(access: Access, share: Share) -> None:
    """End a share with notice. Raises SharingMoved."""
    sharing.revoke_share(share)
    access.audit("style.share_revoked", share.style, after={"workspace": share.tenant.slug})


@transaction.atomic
def keep_share(access: Access, share: Share) -> None:
    """Let a share under notice hold after all. Raises SharingMoved."""
    sharing.keep_share(share)
    access.audit("style.share_kept", share.style, after={"workspace": share.tenant.slug})


@transaction.atomic
def leave_share(access: Access, style: Style) -> None:
    """End the workspace's own share of another one's style."""
    sharing.leave_share(access.tenant, style)
    access.audit("style.share_left", style)


@transaction.atomic
def promote_version(access: Access, version: AdapterVersion) -> bool:
    """Let a version answer for its style; return False if it did so already. Raises NotServing."""
    before = version.style.live_version
    if not aliases.promote(version, access.user, key=access.key):
        return False
    access.audit(
        "version.promoted",
        version,
        before={"live_version": before.number if before else None},
        after={"live_version": version.number},
    )
    return True


@transaction.atomic
def cast_vote(access: Access, held: BlindVote, choice: str) -> None:
    """Vote on a round of two versions. Raises BadVote or AlreadyVoted."""
    votes.cast_vote(held, choice)
    between = [str(held.left), str(held.right)]
    access.audit("vote.cast", held, name=" or ".join(between), after={"choice": choice})


@transaction.atomic
def roll_back(access: Access, style: Style, *, seen_live: int | None = None) -> AdapterVersion:
    """Let the version before answer again, and return it.

    Raises NothingToRollBackTo or NotServing; AnsweredMeanwhile if another version answers than was seen.
    """
    before = style.live_version
    after = aliases.roll_back(style, access.user, key=access.key, seen_live=seen_live)
    access.audit(
        "style.rolled_back",
        style,
        before={"live_version": before.number if before else None},
        after={"live_version": after.number},
    )
    return after


@transaction.atomic
def begin_canary(access: Access, version: AdapterVersion, percent: int) -> None:
    """Try a version on a share of the requests, or change that share.

    Raises BadShare, NotServing or NothingToCompare.
    """
    style = version.style
    is_running = style.canary_version_id == version.pk
    aliases.begin_canary(version, percent, access.user, key=access.key)
    access.audit(
        "canary.changed" if is_running else "canary.begun",
        style,
        before={"percent": style.canary_percent} if is_running else {},
        after={"version": version.number, "percent": percent},
    )


@transaction.atomic
def end_canary(access: Access, style: Style) -> bool:
    """End the canary that a style shows; return False when it has ended or was replaced meanwhile."""
    is_ended = aliases.end_canary(style, access.user, key=access.key)
    if is_ended:
        access.audit("canary.ended", style)
    return is_ended


@transaction.atomic
def retire_version(access: Access, version: AdapterVersion, *, at_once: bool) -> None:
    """Retire a version and keep its files. Doing it twice does nothing. Raises StillUsed or NeverServed."""
    # Read before: doing it twice is no fault, and no second line in the log.
    was_retired = version.status == Status.RETIRED
    workflow.retire_unused(version, at_once=at_once)
    if not was_retired:
        access.audit("version.retired", version)


def download_version(access: Access, version: AdapterVersion) -> list[DownloadableFile]:
    """Return where a version's files are read for some minutes. Raises NothingToDownload."""
    files = downloads.list_files(version)  # asks the storage, so no row is locked meanwhile
    with transaction.atomic():
        access.audit("version.downloaded", version)
    return files


@transaction.atomic
def delete_version(access: Access, version: AdapterVersion, *, at_once: bool) -> Erasure:
    """Begin to erase a version; return the erasure. Doing it twice does nothing. Raises StillUsed."""
    was_deleted = Erasure.objects.filter(version=version).exists()
    erasure = workflow.erase_version(version, access.user, at_once=at_once)
    enqueue.enqueue_erasure(erasure.pk)
    if not was_deleted:
        access.audit("version.deleted", version, after={"at_once": at_once})
    return erasure


@transaction.atomic
def retry_version(access: Access, version: AdapterVersion) -> None:
    """Push a failed version again. Raises VersionMoved."""
    transitions.retry_version(version)
    enqueue.enqueue_advance(version.pk)
    access.audit("version.retried", version)


@transaction.atomic
def convert_version(access: Access, version: AdapterVersion) -> AdapterVersion:
    """Return the new version that a rejected one is converted into. Doing it twice returns the same one.

    Raises NothingToConvert or PlanFull.
    """
    was_converted = AdapterVersion.objects.filter(converted_from=version).exists()
    converted = conversions.begin_conversion(version, access.user)
    enqueue.enqueue_advance(converted.pk)
    if not was_converted:
        access.audit("version.converted", version, after={"version": converted.number})
    return converted


@transaction.atomic
def begin_upload(
    access: Access, about: StyleDescription, files: dict[str, int], *, method: sessions.Method = "post"
) -> tuple[AdapterVersion, list[Upload]]:
    """Return a new version and a POST form for each file. Raises UploadRefused or NoBaseModel.

    With the method "multipart" there are no forms: each part has a URL of its own.
    """
    is_known = Style.objects.filter(owner=access.tenant, slug=about.slug, retired_at=None).exists()
    version, forms = sessions.begin_upload(access.tenant, access.user, about, files, method=method)
    if not is_known:
        access.audit("style.created", version.style)
    access.audit("version.created", version, after={"files": version.files})
    return version, forms


def finish_upload(access: Access, version: AdapterVersion) -> None:
    """Accept a version whose files are uploaded. Raises NotUploaded naming the missing ones, or UploadEnded.

    No transaction: no row may be locked while the storage does not answer.
    """
    # A client that got no answer finishes again.
    was_handed_in = version.handed_in_at is not None or version.status != Status.UPLOADING
    sessions.finish_upload(version)
    enqueue.enqueue_advance(version.pk)
    if not was_handed_in:
        access.audit("upload.finished", version)


def cancel_upload(access: Access, version: AdapterVersion) -> None:
    """Cancel an upload that is not finished, and delete what was sent of it. Raises VersionMoved.

    Doing it twice does nothing. No transaction: it waits for the storage.
    """
    if sessions.is_cancelled(version):
        return
    sessions.cancel_upload(version)
    access.audit("upload.aborted", version)
