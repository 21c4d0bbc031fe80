"""The erasure of deleted workspaces: their styles, the texts that they were trained on, and the report."""

from collections.abc import Sequence
from dataclasses import asdict

from django.http import HttpResponse, JsonResponse

from accounts.deleted_workspaces import STAYS as KEPT_OF_WORKSPACE
from accounts.deleted_workspaces import list_to_erase, mark_erased
from adapters.public import describe_styles_erasure, erase_some_styles, report_styles_erasure
from inference.public import erase_responses
from tenants.models import Tenant
from training.public import TextsErasure, list_texts_erasures


def erase_deleted_workspaces() -> None:
    """Begin to erase the next styles of each deleted workspace, and note the workspaces that are done.

    Texts are erased by `training.tasks.erase`, because that waits for the storage.
    """
    for tenant in list_to_erase():
        erase_responses(tenant)
        are_styles_erased = erase_some_styles(tenant)
        if are_styles_erased and not _count_waiting(list_texts_erasures(tenant)):
            mark_erased(tenant)


def describe_progress(tenant: Tenant) -> dict[str, object]:
    """Return how far a deleted workspace's erasure is, for its page."""
    texts = list_texts_erasures(tenant)
    waiting_texts = _count_waiting(texts)
    return {
        "workspace": tenant,
        "styles": describe_styles_erasure(tenant),
        "texts_total": len(texts),
        "texts_done": len(texts) - waiting_texts,
        "is_finished": tenant.erased_at is not None,
        "kept": KEPT_OF_WORKSPACE,
    }


def workspace_report(tenant: Tenant) -> HttpResponse:
    """Return every version's and every training's proof as a JSON file."""
    data = {
        "workspace": tenant.slug,
        "deleted_at": tenant.deleted_at,
        "erased_at": tenant.erased_at,
        "kept": KEPT_OF_WORKSPACE,
        **report_styles_erasure(tenant),
        "trainings": [asdict(erased) for erased in list_texts_erasures(tenant)],
    }
    response = JsonResponse(data, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="erasure-{tenant.slug}.json"'
    return response


def _count_waiting(texts: Sequence[TextsErasure]) -> int:
    return sum(erased.erased_at is None for erased in texts)
