"""Favourites: styles that one person keeps in sight. What a workspace selects is another matter."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction

from adapters.errors import TooManyFavourites
from adapters.models import Favourite, Style
from tenants.models import User

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
