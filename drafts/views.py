"""The pages to write on: the drafts, one of them, and its history."""

import json
from collections.abc import Sequence
from typing import cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import Truncator, slugify
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adapters.evidence import LEAST_PARAGRAPH_WORDS, find_checkable
from adapters.public import ModelChoice, model_choices, name_default_style
from core.errors import DomainError
from core.rest.problems import status_of
from drafts import actions
from drafts.actions import Passage
from drafts.errors import DraftChanged
from drafts.forms import MAX_PASSAGES, ImportForm, PassageForm, TextForm
from drafts.models import MAX_CHARACTERS, MAX_MODEL, MAX_TITLE, Draft
from drafts.prompts import PROMPTS
from inference.public import DOCX, DocumentTooLong, write_typed_docx
from metering.plans import limits_of
from tenants.access import Access, MemberRequest, access_of, member_required
from tenants.action_view import action_view
from tenants.roles import Permission, requires
from training.reading import ENDINGS
from training.runs.rewriting import SAMPLING

PAGE_SIZE = 50
NAMING_CHARACTERS, NAMING_WORDS = 80, 8  # of the text of an untitled draft
TEXT = "text/plain; charset=utf-8"
MARKDOWN = "text/markdown; charset=utf-8"
CONTENT_TYPES = {"docx": DOCX, "md": MARKDOWN, "txt": TEXT}


@require_GET
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def list_drafts(request: MemberRequest) -> HttpResponse:
    """Show the drafts that a person can open, the one that was changed last first."""
    return _show_list(request, None)


def _show_list(request: MemberRequest, form: ImportForm | None) -> HttpResponse:
    visible = _visible(access_of(request)).defer("text").select_related("author")
    drafts = visible.annotate(beginning=Left("text", NAMING_CHARACTERS))
    page = Paginator(drafts.order_by("-changed_at", "-id"), PAGE_SIZE).get_page(request.GET.get("page", 1))
    names = {choice.model: choice.name for choice in _choices(request, [draft.model for draft in page])}
    rows = []
    for draft in page:
        shown = draft.title or _shorten(draft.beginning)  # type: ignore[attr-defined]
        rows.append((draft, shown, names.get(draft.model, draft.model)))
    context = {
        "page": page,
        "rows": rows,
        "form": form or ImportForm(),
        "formats": ",".join(ENDINGS),
        "max_file_bytes": actions.MAX_FILE_BYTES,
        "model": request.GET.get("style", "")[:MAX_MODEL],  # what a new one begins with
    }
    return render(request, "drafts/list.html", context)


def _shorten(beginning: str) -> str:
    """Return what tells untitled drafts apart: their first words."""
    return Truncator(" ".join(beginning.split())).words(NAMING_WORDS) or gettext("Untitled")


@action_view(Permission.WRITE_TEXT, to="drafts:drafts")
def create(request: MemberRequest) -> HttpResponse:
    """Open an empty draft: the one that there is, or a new one."""
    model = request.POST.get("model", "")[:MAX_MODEL] or _first_model(request)
    empty = Draft.objects.filter(tenant=request.tenant, author=request.user, title="", text="", revision=1)
    draft = empty.first()
    if draft is None:
        draft = actions.create_draft(access_of(request), model=model)
    elif draft.model != model:
        actions.edit_draft(access_of(request), draft, model=model)
    return redirect("drafts:draft", draft.pk)


@action_view(
    Permission.WRITE_TEXT,
    form=lambda request: ImportForm(request.POST, request.FILES),
    page=_show_list,
    to="drafts:drafts",
)
def import_file(request: MemberRequest, form: ImportForm) -> HttpResponse:
    """Create a draft from a file and open it."""
    file = form.cleaned_data["file"]
    model = _first_model(request)
    draft = actions.import_file(access_of(request), name=file.name, content=file.read(), model=model)
    return redirect("drafts:draft", draft.pk)


def _show_draft(request: MemberRequest, form: TextForm | None, draft_id: UUID) -> HttpResponse:
    draft = _own_draft(request, draft_id)
    choices = _choices(request, [draft.model])
    limits = limits_of(request.tenant, timezone.now())
    passages = actions.list_passages(draft)
    is_author = draft.author_id == request.user.pk
    context = {
        "draft": draft,
        "form": form,
        "text": form.data.get("text", "") if form else draft.text,
        "title": form.data.get("title", "") if form else draft.title,
        "choices": choices,
        "is_model_known": any(choice.model == draft.model for choice in choices),
        "can_check": find_checkable(request.tenant, draft.model) is not None,
        "checked_words": LEAST_PARAGRAPH_WORDS,
        "can_share": is_author or access_of(request).may(Permission.EDIT_WORKSPACE),
        "generated_words": actions.count_generated(draft.text, passages),
        "receipts": sum(bool(passage.get("receipt")) for passage in passages),
        "settings": {"prompts": PROMPTS, "sampling": SAMPLING, "max_tokens": limits.max_output_tokens},
        "max_title": MAX_TITLE,
        "max_characters": MAX_CHARACTERS,
    }
    return render(request, "drafts/draft.html", context)


@never_cache
@action_view(
    Permission.WRITE_TEXT,
    form=lambda request, draft_id: TextForm(request.POST),
    page=_show_draft,
    to="drafts:draft",
    to_read=Permission.WRITE_TEXT,
)
def draft(request: MemberRequest, form: TextForm, draft_id: UUID) -> str:
    """Show a draft, and save it for browsers without JavaScript."""
    actions.save_draft(access_of(request), _own_draft(request, draft_id), **form.cleaned_data)
    return gettext("Saved.")


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def save(request: MemberRequest, draft_id: UUID) -> JsonResponse:
    """Save what was typed, or an accepted suggestion; answer with the draft's new revision."""
    draft = _own_draft(request, draft_id)
    form, passages = _read_save(request)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    try:
        saved = actions.save_draft(access_of(request), draft, **form.cleaned_data, passages=passages)
    except DraftChanged as error:
        newest = _own_draft(request, draft_id)
        facts = {"revision": newest.revision, "text": newest.text, "title": newest.title}
        return JsonResponse({"errors": {"__all__": [error.message]}, **facts}, status=409)
    except DomainError as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=status_of(error))
    return JsonResponse({"revision": saved.revision, "words": saved.words})


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def check(request: MemberRequest, draft_id: UUID) -> JsonResponse:
    """Answer with the paragraphs that sound least like the style's author, and the reasons in words."""
    try:
        found = actions.check_draft(access_of(request), _own_draft(request, draft_id))
    except DomainError as error:
        return JsonResponse({"errors": {"__all__": [error.message]}}, status=status_of(error))
    return JsonResponse({"paragraphs": [actions.describe_paragraph(one) for one in found]})


@action_view(Permission.WRITE_TEXT, to="drafts:draft")
def edit(request: MemberRequest, draft_id: UUID) -> HttpResponse | str:
    """Choose the style of a draft, or share it."""
    draft = _own_draft(request, draft_id)
    is_shared = request.POST["is_shared"] == "on" if "is_shared" in request.POST else None
    model = request.POST.get("model") or None
    actions.edit_draft(access_of(request), draft, model=model and model[:MAX_MODEL], is_shared=is_shared)
    if is_shared is None:
        return redirect("drafts:draft", draft_id)  # the page shows the style
    if not is_shared and draft.author_id != request.user.pk:
        messages.success(request, gettext("Only its author can open it now."))
        return redirect("drafts:drafts")
    return gettext("Shared with the workspace.") if is_shared else gettext("Only you can open it now.")


@action_view(Permission.WRITE_TEXT, to="drafts:drafts")
def delete(request: MemberRequest, draft_id: UUID) -> str:
    """Delete a draft."""
    draft = _own_draft(request, draft_id)
    actions.delete_draft(access_of(request), draft)
    return gettext("“{title}” was deleted.").format(title=draft.title or gettext("Untitled"))


@require_GET
@never_cache
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def show_history(request: MemberRequest, draft_id: UUID, snapshot_id: UUID | None = None) -> HttpResponse:
    """Show the snapshots of a draft, and one's text if the address names it."""
    draft = _own_draft(request, draft_id)
    snapshots = draft.snapshots.filter(has_text=True)
    shown = get_object_or_404(snapshots, pk=snapshot_id) if snapshot_id else None
    listed = snapshots.defer("text").select_related("created_by").order_by("-created_at", "-id")
    rows = list(listed[: actions.MAX_SNAPSHOTS])
    return render(request, "drafts/history.html", {"draft": draft, "snapshots": rows, "shown": shown})


@action_view(Permission.WRITE_TEXT, to="drafts:history")
def take_snapshot(request: MemberRequest, draft_id: UUID) -> str:
    """Keep the text as it is now."""
    actions.take_snapshot(access_of(request), _own_draft(request, draft_id))
    return gettext("Saved to history.")


@action_view(Permission.WRITE_TEXT)
def restore(request: MemberRequest, draft_id: UUID, snapshot_id: UUID) -> HttpResponse:
    """Make an earlier text the draft's."""
    snapshots = _own_draft(request, draft_id).snapshots.filter(has_text=True)
    actions.restore_snapshot(access_of(request), get_object_or_404(snapshots, pk=snapshot_id))
    return redirect("drafts:draft", draft_id)


@require_GET
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def download(request: MemberRequest, draft_id: UUID, suffix: str) -> HttpResponseBase:
    """Send a draft as a file; `?receipts=1` adds what was generated, with its receipts."""
    draft = _own_draft(request, draft_id)
    receipts = _describe_receipts(draft) if request.GET.get("receipts") else ""
    if suffix == "docx":
        try:
            content = write_typed_docx(draft.title, draft.text, receipts)
        except DocumentTooLong as error:
            messages.error(request, error.message)
            return redirect("drafts:draft", draft_id)
    else:
        heading = f"# {draft.title}\n\n" if draft.title and suffix == "md" else ""
        content = f"{heading}{draft.text}\n{receipts}".encode()
    answer = HttpResponse(content, content_type=CONTENT_TYPES[suffix])
    name = slugify(draft.title) or "draft"
    answer["Content-Disposition"] = f'attachment; filename="{name}.{suffix}"'
    return answer


def _describe_receipts(draft: Draft) -> str:
    passages = [one for one in actions.list_passages(draft) if one.get("receipt")]
    if not passages:
        return ""
    address = f"{settings.SITE_URL}{reverse('provenance:verify')}"
    about = gettext("These passages were written by a style. Check one with its receipt at {address}.")
    parts = [f"## {gettext('Receipts')}", about.format(address=address)]
    for passage in passages:
        quoted = passage["text"].strip().replace("\n", "\n> ")
        parts += [f"> {quoted}", f"    {passage['receipt']}"]
    return "\n" + "\n\n".join(parts) + "\n"


def _visible(access: Access) -> QuerySet[Draft]:
    return Draft.objects.visible_to(access.tenant, access.maker)


def _own_draft(request: MemberRequest, draft_id: UUID) -> Draft:
    """Return a draft that the person can open. Its text is read when it is needed: saving doesn't."""
    drafts = _visible(access_of(request)).select_related("tenant").defer("text")
    return get_object_or_404(drafts, pk=draft_id)


def _choices(request: MemberRequest, wanted: Sequence[str]) -> list[ModelChoice]:
    base = ModelChoice("base", gettext("Base model (no style)"), "", None)
    return [*model_choices(request.tenant, [one for one in wanted if one != "base"]), base]


def _first_model(request: MemberRequest) -> str:
    """Return what a new draft is written in: the last one's style, the default, or the first by name."""
    own = Draft.objects.filter(tenant=request.tenant, author=request.user).order_by("-changed_at")
    last = own.values_list("model", flat=True).first() or ""
    choices = [choice.model for choice in _choices(request, [last] if last else [])]
    return last if last in choices else name_default_style(request.tenant) or choices[0]


def _read_save(request: MemberRequest) -> tuple[TextForm, list[Passage]]:
    """Return what a script sends, and the passages of an accepted suggestion. Raises BadRequest."""
    try:
        body = json.loads(request.body)
        forms = [PassageForm(one) for one in body.pop("passages", [])[:MAX_PASSAGES]]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest from error
    if not all(form.is_valid() for form in forms):
        raise BadRequest
    return TextForm(body), [cast(Passage, form.cleaned_data) for form in forms]
