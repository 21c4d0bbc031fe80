"""Know which tenants' copies in Valkey are behind the rows.

As in Kubernetes, `generation` counts changes and `observed_generation` is the last one that was published: a
copy is stale while it is lower.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F

from tenants.models import Tenant


def bump_generations(tenant_ids: Iterable[UUID]) -> None:
    """Count a change of some tenants that the data plane must see, in the caller's transaction."""
    Tenant.objects.filter(pk__in=list(tenant_ids)).update(generation=F("generation") + 1)


def bump_all_generations() -> None:
    """Count a change of every tenant, such as new prices. A periodic task publishes them."""
    # No publication here: it would be one write to Valkey for each workspace, within this transaction.
    Tenant.objects.update(generation=F("generation") + 1)


def stale_generations() -> dict[UUID, int]:
    """Return tenant → generation of the tenants whose last change is not published yet."""
    return dict(Tenant.objects.stale().values_list("pk", "generation"))


def overtake_generation(tenant_id: UUID, published: int) -> bool:
    """Count a tenant up past what Valkey has, if not even now it has been counted so far; return whether.

    Usually another publisher read a later change and was quicker. A tenant that is behind Valkey was restored
    from a backup.
    """
    behind = Tenant.objects.filter(pk=tenant_id, generation__lt=published)
    return bool(behind.update(generation=published + 1))


def observe_generation(tenant_id: UUID, generation: int) -> None:
    """Record that a tenant's generation is published. An older one than recorded changes nothing."""
    # Two publishers may end in either order; the number only rises.
    behind = Tenant.objects.filter(pk=tenant_id, observed_generation__lt=generation)
    behind.update(observed_generation=generation)
