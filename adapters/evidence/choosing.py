"""Which evaluation speaks for a style: its live version's, or the newest."""

from django.db.models import QuerySet

from adapters.models import Evaluation, EvaluationStatus, Style


def choose_evaluation(style: Style, evaluations: QuerySet[Evaluation]) -> Evaluation | None:
    """Return the newest of a style's evaluations with figures: the live version's, or else another's."""
    done = evaluations.filter(version__style=style, status=EvaluationStatus.SUCCEEDED)
    newest_first = done.select_related("version").order_by("-created_at")
    return newest_first.filter(version=style.live_version_id).first() or newest_first.first()
