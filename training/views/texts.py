"""Step 1, the texts of a training: add, read, leave out, delete."""

import json
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Q, Sum
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext, ngettext_lazy

from adapters.models import AdapterVersion
from core.errors import DomainError
from core.pages import failures_shown
from core.sizes import MIB
from tenants.access import Access, MemberRequest, access_of
from training import actions, erasure
from training.corpus import STANDARD_LIMITS
from training.errors import BadDocument
from training.models import Document, Status, Training
from training.reading import ENDINGS, ending_of
from training.views.common import (
    NameForm,
    name_language,
    own_document,
    own_training,
    page_of,
    page_steps,
    training_form,
    training_page,
)

# Evaluations: begun for a version with texts by its author, or once more with the texts of a training.


@training_form
def create(request: MemberRequest, version_id: UUID) -> HttpResponse:
    """Create a draft whose texts will check a version of the workspace's own, and ask for the texts."""
    versions = AdapterVersion.objects.select_related("style__owner")
    version = get_object_or_404(versions, pk=version_id, style__owner=request.tenant)
    with failures_shown(request):
        return redirect(page_of(actions.create_evaluation(access_of(request), version)))
    return redirect("adapters:style", owner=version.style.owner.slug, slug=version.style.slug)


@training_page
def show_start(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show what the check measures, and the button that starts it."""
    training = own_training(request, training_id)
    if training.status != Status.READY or not training.is_evaluation:
        return redirect(page_of(training))
    context = {
        "training": training,
        "version": training.evaluated_version,
        "steps": page_steps(training, "check"),
        "kept_days": erasure.DOCUMENTS_KEPT.days,
    }
    return render(request, "training/check.html", context)


@training_form
def evaluate(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Check a version with a training's texts: for the first time, or once more."""
    training = own_training(request, training_id)
    with failures_shown(request):
        actions.request_evaluation(access_of(request), training)
    return redirect(page_of(training))


MAX_SHOWN = 200
MAX_NAME = 200
TITLE_WORDS = 6
# What reading removed from a text, in words.
REMOVED = {
    "running_heads": ngettext_lazy("{count} running head removed", "{count} running heads removed"),
    "page_numbers": ngettext_lazy("{count} page number removed", "{count} page numbers removed"),
    "hyphens": ngettext_lazy("{count} word rejoined at a line end", "{count} words rejoined at line ends"),
    "headings": ngettext_lazy("{count} heading removed", "{count} headings removed"),
    "licence": ngettext_lazy("{count} licence paragraph removed", "{count} licence paragraphs removed"),
    "quoted_replies": ngettext_lazy("{count} quoted reply removed", "{count} quoted replies removed"),
}
SAMPLE = Path(__file__).parents[1] / "samples" / "the-ferry-at-low-water.txt"


@training_page
def show(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show the texts, and how to add more."""
    training = own_training(request, training_id)
    return _show(request, training, NameForm(initial={"name": training.name, "slug": training.slug}))


@training_form
def rename(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Rename the style of a training that has not started."""
    training = own_training(request, training_id)
    form = NameForm(request.POST)
    if form.is_valid():
        with failures_shown(request, form):
            actions.rename_training(access_of(request), training, **form.cleaned_data)
            messages.success(request, gettext("Saved."))
            return redirect(page_of(training, "texts"))
    return _show(request, training, form, status=HTTPStatus.BAD_REQUEST)


@training_page
def show_documents(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Show the list of documents; the page polls it while some are being read."""
    training = own_training(request, training_id)
    return render(request, "training/_documents.html", _list_context(training))


@training_form
def announce(request: MemberRequest, training_id: UUID) -> JsonResponse:
    """Return a POST form for each file that a browser will send, and why others are refused."""
    training = own_training(request, training_id)
    try:
        files = _parse_files(request.body)
        added, refused = _add_each(access_of(request), training, files)
    except ValueError:
        return JsonResponse({"errors": {"__all__": ["Send JSON: {files: [{name, size}, …]}."]}}, status=400)
    except DomainError as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=409)
    return JsonResponse({"uploads": added, "refused": refused}, status=201 if added else 200)


@training_form
def finish(request: MemberRequest, training_id: UUID) -> JsonResponse:
    """Queue the documents that have arrived for reading."""
    training = own_training(request, training_id)
    try:
        arrived = actions.finish_documents(access_of(request), training)
    except DomainError as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=503)
    return JsonResponse({"arrived": arrived})


@training_form
def add(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Add a pasted text, or files sent by browsers without JavaScript."""
    training = own_training(request, training_id)
    access = access_of(request)
    text = request.POST.get("text", "")
    files = request.FILES.getlist("files")
    added = 0
    with failures_shown(request):
        for file in files:
            actions.add_file(access, training, _clean_name(file.name or "?"), file.read())
            added += 1
        if text.strip():
            actions.add_text(access, training, _title_of(request.POST.get("title", ""), text), text)
            added += 1
        if not added:
            messages.error(request, gettext("Choose a file or paste a text first."))
    if added:
        done = ngettext("{count} text added.", "{count} texts added.", added)
        messages.success(request, done.format(count=added))
    return redirect(page_of(training, "texts"))


@training_form
def add_sample(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Add the sample text, so that people can try a training without their own texts."""
    training = own_training(request, training_id)
    with failures_shown(request):
        actions.add_text(access_of(request), training, SAMPLE.name, _sample_text())
    return redirect(page_of(training, "texts"))


@training_form
def leave_out(request: MemberRequest, training_id: UUID, document_id: UUID) -> HttpResponse:
    """Leave a document out, or include it again."""
    document = own_document(request, training_id, document_id)
    with failures_shown(request):
        is_left_out = request.POST.get("is_left_out") == "on"
        actions.leave_out_document(access_of(request), document, is_left_out=is_left_out)
    return redirect(page_of(document.training, "texts"))


@training_form
def delete_document(request: MemberRequest, training_id: UUID, document_id: UUID) -> HttpResponse:
    """Delete a document and its text."""
    document = own_document(request, training_id, document_id)
    with failures_shown(request):
        actions.delete_document(access_of(request), document)
        messages.success(request, gettext("{name} was deleted.").format(name=document.name))
    return redirect(page_of(document.training, "texts"))


@training_form
def prepare(request: MemberRequest, training_id: UUID) -> HttpResponse:
    """Queue the training for its examples, and show what was understood."""
    training = own_training(request, training_id)
    access = access_of(request)
    with failures_shown(request):
        if training.documents.filter(status=Document.Status.UPLOADING).exists():
            # A browser that was closed after the last byte didn't report it.
            actions.finish_documents(access, training)
        actions.prepare_training(access, training)
        return redirect(page_of(training, "review"))
    return redirect(page_of(training, "texts"))


def _show(
    request: MemberRequest, training: Training, name_form: NameForm, *, status: int = HTTPStatus.OK
) -> HttpResponse:
    context = _list_context(training) | {
        "steps": page_steps(training, "texts"),
        "name_form": name_form,
        "formats": ",".join(ENDINGS),
        "max_file_mb": actions.MAX_DOCUMENT_BYTES // MIB,
        "max_pasted_bytes": actions.MAX_PASTED_BYTES,
        "max_pasted_mb": actions.MAX_PASTED_BYTES // MIB,
    }
    return render(request, "training/texts.html", context, status=status)


def _list_context(training: Training) -> dict[str, object]:
    """Return what the list of documents shows: newest first."""
    used = Q(status=Document.Status.READ, is_left_out=False)
    rows = training.documents.order_by("-created_at", "pk")
    words = training.documents.aggregate(words=Sum("words", filter=used, default=0))["words"]
    shown = list(rows[: MAX_SHOWN + 1])
    unread = (Document.Status.UPLOADING, Document.Status.UPLOADED)
    return {
        "training": training,
        "rows": [_describe(document) for document in shown[:MAX_SHOWN]],
        "more_documents": len(shown) > MAX_SHOWN,
        "refused": sum(row.status == Document.Status.REFUSED for row in shown),
        "unread": sum(row.status in unread for row in shown),
        "words": words,
        "missing_words": max(0, STANDARD_LIMITS.least_words - words),
        "is_small": words < STANDARD_LIMITS.small_words,
        "limits": STANDARD_LIMITS,
        # A draft's note says why its texts couldn't be prepared.
        "note": training.note if training.status == Status.DRAFT else "",
        "can_change": training.is_open and settings.TRAINING,
    }


def _describe(document: Document) -> dict[str, object]:
    """Return a document, with its language and what was removed in words."""
    removed = []
    for kind, count in document.removed.items():
        if count and kind in REMOVED:
            removed.append((REMOVED[kind] % count).format(count=number_format(count, force_grouping=True)))
    language = name_language(document.language) if document.language else ""
    return {"document": document, "language": language, "removed": removed}


def _parse_files(body: bytes) -> dict[str, int]:
    """Return the files of a request: name → bytes. Raises ValueError."""
    try:
        found = json.loads(body)["files"]
        files: dict[str, int] = {}
        for file in found:
            files[_clean_name(str(file["name"]))] = int(file["size"])
    except (LookupError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError from error
    if not files:
        raise ValueError
    return files


def _clean_name(name: str) -> str:
    """Return a file's name as PostgreSQL can store it. If it is too long, its end is kept."""
    return name.replace("\0", "").encode(errors="replace").decode()[-MAX_NAME:] or "?"


def _add_each(
    access: Access, training: Training, files: Mapping[str, int]
) -> tuple[list[dict[str, object]], list[dict[str, str]]]:
    """Return a POST form for each file that can be added, and the reason for each that can't.

    Raises TrainingMoved.
    """
    try:
        added = actions.add_documents(access, training, files)
        return [{"name": one.name, "url": form.url, "fields": form.fields} for one, form in added], []
    except BadDocument as error:
        if len(files) == 1:
            return [], [{"name": next(iter(files)), "why": error.message}]
    uploads = []
    refused = []
    for name, size in files.items():
        one_added, one_refused = _add_each(access, training, {name: size})
        uploads += one_added
        refused += one_refused
    return uploads, refused


def _title_of(title: str, text: str) -> str:
    """Return a file name for a pasted text: from its title, or else its first words."""
    name = _clean_name(title.strip() or " ".join(text[:300].split()[:TITLE_WORDS]))
    if ending_of(name) in ENDINGS:
        return name
    return f"{name[: MAX_NAME - 4].rstrip('.')}.txt"


@cache
def _sample_text() -> str:
    return SAMPLE.read_text()
