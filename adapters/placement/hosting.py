"""Note for billing which private styles engines have."""

from collections.abc import Iterable

from adapters.models import Placement, Style
from adapters.models.styles import is_public_now
from core import months
from metering.price_book import Hosted, record_hosted

BATCH_SIZE = 500


def record_hosted_styles(styles: Iterable[Style]) -> None:
    """Note those of some styles that are private, as hosted in the present month."""
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
    batch: list[Style] = []
    for style in styles.order_by("pk").iterator(BATCH_SIZE):
        batch.append(style)
        if len(batch) == BATCH_SIZE:
            record_hosted_styles(batch)
            batch = []
    record_hosted_styles(batch)
