"""A tenant's library: the styles of others that it selects, and the words of its own."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from adapters.catalog.style_fields import SAMPLING, edit_faults
from adapters.errors import StyleNotFound, StyleRefused, TooManyFavourites
from adapters.models import AdapterVersion, Favourite, Selection, Style
from adapters.routing import publisher
from tenants.access import Access
from tenants.export import Table as ExportTable
from tenants.export import make_table as make_export_table
from tenants.models import Tenant, User

# Favourites: styles that one person keeps in sight. What a workspace selects is another matter.

MOST_FAVOURITES = 500


def add_favourite(user: User, style: Style) -> None:
    """Keep a style in sight for a person. Doing it twice does nothing. Raises TooManyFavourites."""
    with transaction.atomic():
        # Locked, so that two tabs together keep the limit.
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        others = Favourite.objects.filter(user=user).exclude(style=style)
        if others.count() >= MOST_FAVOURITES:
            raise TooManyFavourites(most=MOST_FAVOURITES)
        Favourite.objects.get_or_create(user=user, style=style)


def drop_favourite(user: User, style_id: UUID) -> None:
    """Take a style off a person's favourites. Doing it twice does nothing."""
    Favourite.objects.filter(user=user, style=style_id).delete()


def favourites_among(user: User, style_ids: Collection[UUID]) -> set[UUID]:
    """Return those of some styles that are a person's favourites."""
    found = Favourite.objects.filter(user=user, style__in=style_ids)
    return set(found.values_list("style", flat=True))


EXPORTED_COLUMNS = (
    "style__slug",
    "style__name",
    "style__description",
    "style__author",
    "style__licence",
    "style__is_public",
    "number",
    "status",
    "rank",
    "size_bytes",
    "sha256",
    "created_at",
    "files_gone_at",
)


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return the versions of a workspace's own styles."""
    versions = AdapterVersion.objects.filter(style__owner=tenant).order_by("style__slug", "number")
    return [make_export_table("styles", versions, *EXPORTED_COLUMNS)]


@transaction.atomic
def select_style(access: Access, style: Style) -> None:
    """Take a style into the workspace's library. Raises StyleNotFound for one that is not offered to it."""
    tenant = access.tenant
    if not Style.objects.selectable_by(tenant.pk).filter(pk=style.pk).exists():
        raise StyleNotFound
    Selection.objects.get_or_create(tenant=tenant, style=style)
    publisher.mark_libraries_changed([tenant.pk])
    access.audit("style.selected", style)


@transaction.atomic
def select_first_party_styles(access: Access) -> list[Style]:
    """Select the first party's public styles; return those that were not selected before.

    A new workspace begins with them, so that its first request has a style to name.
    """
    tenant = access.tenant
    known = Selection.objects.filter(tenant=tenant).values("style")
    offered = Style.objects.selectable_by(tenant.pk).filter(is_public=True, owner__is_first_party=True)
    new = list(offered.exclude(pk__in=known).order_by("created_at", "pk"))
    if new:
        selections = [Selection(tenant=tenant, style=style) for style in new]
        Selection.objects.bulk_create(selections, ignore_conflicts=True)
        publisher.mark_libraries_changed([tenant.pk])
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
    """Take a style out of the workspace's library. Doing it twice does nothing."""
    deleted, _ = Selection.objects.filter(tenant=access.tenant, style=style).delete()
    publisher.mark_libraries_changed([access.tenant.pk])
    if deleted:
        access.audit("style.unselected", style)


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
    if not after:
        return
    # Locked, so that an offer at the same moment is of the words that operators will read.
    held = Style.objects.lock(style.pk)
    faults = edit_faults(held, after)
    if faults:
        raise StyleRefused(faults)
    describe_style(held, **after)
    access.audit("style.edited", style, before=before, after=after)


@transaction.atomic
def set_test_prompts(access: Access, style: Style, prompts: Sequence[str]) -> None:
    """Set the owner's own prompts for comparing versions."""
    Style.objects.filter(pk=style.pk).update(test_prompts="\n".join(prompts))
    access.audit("style.prompts_set", style, after={"test_prompts": list(prompts)})


def describe_style(style: Style, **texts: Any) -> None:
    """Change what people read about a style; another prompt gets another sample.

    Of a public style others read the words that were approved until operators approve these, too. What
    requests are drawn with isn't reviewed, and holds at once.
    """
    if texts.get("sample_prompt", style.sample_prompt) != style.sample_prompt:
        texts["sample"] = ""
    if texts.keys() - SAMPLING.keys():
        texts["changed_at"] = timezone.now()
    with transaction.atomic():
        Style.objects.filter(pk=style.pk).update(**texts)
        publisher.mark_changed(style)  # its routes carry the description, and what requests are drawn with
