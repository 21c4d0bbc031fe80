"""The erasure of deleted workspaces: their styles, the texts that they were trained on, and the report."""

import json
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import batched
from typing import IO, Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import CharField, F, Func, QuerySet, Value
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone

from accounts.deletion import STAYS as KEPT_OF_WORKSPACE
from accounts.deletion import list_to_erase, mark_erased
from adapters.public import describe_styles_erasure, erase_some_styles, list_exported, report_styles_erasure
from billing.public import list_exported as list_exported_invoices
from core.console import Confirmation, ask_first
from core.spreadsheets import csv_text
from core.streaming import StreamedFileResponse
from drafts.models import Draft
from events.models import WebhookEndpoint
from inference.models import Conversation, StoredResponse
from inference.public import erase_responses
from metering.models import LedgerEntry, TrainingHold, UsageDaily
from tenants.export import Table, make_table
from tenants.models import ApiKey, AuditEntry, Membership, Tenant
from training.public import TextsErasure, list_texts_erasures
from training.public import list_exported as list_exported_trainings


def erase_deleted_workspaces() -> None:
    """Begin to erase the next styles of each deleted workspace, and note the workspaces that are done.

    Texts are erased by `training.tasks.erase`, because that waits for the storage.
    """
    for tenant in list_to_erase():
        erase_responses(tenant)
        Draft.objects.filter(tenant=tenant).delete()
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


# A workspace's own data as one zip of CSV files, and the console's page that hands it out.

ROWS_AT_ONCE = 2_000
IN_MEMORY_BYTES = 8 * 1024**2  # a larger file lies on the disk until it is sent
PERMISSION = "tenants.change_tenant"
# An endpoint's address without its path, which is as good as a password with many receivers.
HOST = Func(F("url"), Value("^[a-z]+://[^/?#]+"), function="substring", output_field=CharField())

COLUMNS_OF_TABLES = {
    "workspace": "id slug name monthly_nanousd suspended_at suspended_reason created_at",
    "members": "user__email user__first_name user__last_name role created_at last_seen_at",
    "api_keys": (
        "id name prefix last4 scopes styles monthly_tokens monthly_nanousd created_at expires_at revoked_at "
        "last_used_at"
    ),
    "webhooks": "id host description event_types is_enabled created_at",
    "usage_by_day": "day key key__name style_name requests prompt_tokens completion_tokens cost_nanousd",
    "training_holds": "training period created_at token_nanousd most_tokens nanousd settled_at",
    "training_charges": "created_at period source_id tokens amount_nanousd",
    "stored_responses": "id key_id model size_bytes created_at",
    "drafts": "id title words model author__email is_shared created_at changed_at",
    "conversations": "id size_bytes created_at changed_at",
    "audit_log": "at action actor__email api_key object_type object_id object_name was became address",
}
README = """Data of the workspace {slug}, as of {now} UTC.

Each file is CSV in UTF-8; a text that a spreadsheet would take for a formula begins with an apostrophe.
Amounts ending in _nanousd are billionths of a US dollar. Secrets are in none of the files: of API keys only
a digest is kept at all. The files of styles are downloaded or erased by version. Of the documents that styles
were trained on, and of drafts, stored responses and conversations, facts are listed and no text: operators
hand this file out, and they can't read texts. Drafts and stored responses are read by the API, with a key of
the workspace.
"""
EXPORT = Confirmation(
    title="Export data",
    effect="Downloads a zip file with the profile, members, styles, API keys (without secrets), "
    "webhooks, daily usage, trainings, invoices and audit log, but no texts. It contains personal data: "
    "give it only to the workspace's owner.",
    done="",
)


def write_export(tenant: Tenant, file: IO[bytes]) -> None:
    """Write the zip; memory stays flat however much there is."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        now = f"{timezone.now():%Y-%m-%d %H:%M}"
        archive.writestr("README.txt", README.format(slug=tenant.slug, now=now))
        tables = [*_list_tables(tenant), *list_exported_invoices(tenant), *list_exported(tenant)]
        for table in [*tables, *list_exported_trainings(tenant)]:
            rows = table.rows.iterator(chunk_size=ROWS_AT_ONCE)
            _write_table(archive, table.name, table.columns, rows)


def _list_tables(tenant: Tenant) -> list[Table]:
    """Return the tables of a workspace's profile, people, keys, usage and log, without secrets."""
    endpoints = WebhookEndpoint.objects.filter(tenant=tenant).annotate(host=HOST)
    entries = AuditEntry.objects.filter(tenant=tenant).annotate(was=F("before"), became=F("after"))
    charges = LedgerEntry.objects.filter(tenant=tenant, kind=LedgerEntry.Kind.TRAINING)
    rows_of: dict[str, QuerySet[Any]] = {
        "workspace": Tenant.objects.filter(pk=tenant.pk),
        "members": Membership.objects.filter(tenant=tenant).order_by("pk"),
        "api_keys": ApiKey.objects.filter(tenant=tenant).shown(),
        "webhooks": endpoints.order_by("created_at"),
        "usage_by_day": UsageDaily.objects.filter(tenant=tenant).order_by("day", "pk"),
        "training_holds": TrainingHold.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "training_charges": charges.order_by("pk"),
        "stored_responses": StoredResponse.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "drafts": Draft.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "conversations": Conversation.objects.filter(tenant=tenant).order_by("created_at", "pk"),
        "audit_log": entries.order_by("pk"),
    }
    return [make_table(name, rows, *COLUMNS_OF_TABLES[name].split()) for name, rows in rows_of.items()]


def _write_table(
    archive: zipfile.ZipFile, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    heads = [column.replace("__", "_") for column in columns]
    with archive.open(f"{name}.csv", "w") as file:
        file.write(csv_text([heads]).encode())
        for some in batched(rows, ROWS_AT_ONCE):
            lines = [[_cell(value) for value in row] for row in some]
            file.write(csv_text(lines).encode())


def _cell(value: Any) -> str | int:
    if value is None:
        return ""
    if isinstance(value, int):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def show_export(console: Any, request: HttpRequest, tenant_id: UUID) -> HttpResponseBase:
    """Ask why, then hand the zip out. Raises Http404 and PermissionDenied."""
    tenant = get_object_or_404(Tenant, pk=tenant_id)
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    form = EXPORT.form(request, [tenant])
    if not form.is_valid():
        return ask_first(console, request, page=EXPORT, form=form, rows=[tenant], action="export")
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115 (the response closes it)
    write_export(tenant, file)
    file.seek(0)
    console.record(request, action="workspace.exported", row=tenant, reason=form.cleaned_data["why"])
    name = f"{tenant.slug}-{timezone.now():%Y-%m-%d}.zip"
    return StreamedFileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
