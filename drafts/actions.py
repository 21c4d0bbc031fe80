"""What people and programs do with drafts: create, save, share, restore, delete.

Saving is not audited, as it happens at every pause in typing; the snapshots say what was before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet, Sum, TextField, Window
from django.db.models.functions import Cast, Length
from django.utils import timezone
from django.utils.translation import gettext

from adapters.evidence import NoVerifier, ParagraphCheck, check_paragraphs, find_checkable
from drafts.errors import DraftChanged, DraftTooLarge, FileUnreadable, TooManyDrafts
from drafts.models import MAX_CHARACTERS, MAX_TITLE, Draft, DraftSnapshot
from metering.plans import limits_of
from provenance.errors import NoReceipt, NoReceiptKeys
from provenance.receipts import issue_receipt
from tenants.access import Access
from tenants.models import Tenant
from tenants.roles import Permission
from training.corpus.shingles import list_shingles
from training.reading import read_document
from training.reading.problems import explain
from training.text import normalize_words

Reason = DraftSnapshot.Reason

MAX_SNAPSHOTS = 50  # of a draft, with text
MAX_SNAPSHOT_CHARACTERS = 5_000_000  # of a draft's snapshots together
MAX_ACCEPTED = 2_000  # snapshots that only say what was accepted
MAX_ACCEPTED_CHARACTERS = 5_000_000  # of what was accepted of a draft, as it is stored
MAX_FILE_BYTES = 4_000_000  # a proxy in front takes bodies of 4 MiB, as docs/running.md sets it
SHINGLE_WORDS = 4  # so many words of a passage in a row were written by the style


class Passage(TypedDict):
    """What one request wrote of an accepted suggestion, as the engine wrote it."""

    request_id: str
    model: str
    text: str
    receipt: NotRequired[str]


def create_draft(by: Access, *, title: str = "", text: str = "", model: str = "base") -> Draft:
    """Create a draft that only its author can open. Raises TooManyDrafts and DraftTooLarge."""
    by.require_permission(Permission.WRITE_TEXT)
    _require_size(text)
    with transaction.atomic():
        Tenant.objects.select_for_update(no_key=True).get(pk=by.tenant.pk)  # one at a time, for the limit
        most = limits_of(by.tenant, timezone.now()).drafts
        if Draft.objects.filter(tenant=by.tenant).count() >= most:
            raise TooManyDrafts(most=most)
        draft = Draft.objects.create(
            tenant=by.tenant,
            author=by.maker,
            title=_clean(title)[:MAX_TITLE],
            text=_clean(text),
            words=len(text.split()),
            model=model,
            is_shared=by.maker is None,  # else nobody could open it
        )
        by.audit("draft.created", draft)
    return draft


def import_file(by: Access, *, name: str, content: bytes, model: str = "base") -> Draft:
    """Create a draft from a file, of any format that trainings read.

    Raises FileUnreadable, TooManyDrafts and DraftTooLarge.
    """
    by.require_permission(Permission.WRITE_TEXT)
    documents = read_document(name, content)
    refusal = next((document.refusal for document in documents if document.refusal), None)
    if refusal:
        problem = explain(refusal)
        raise FileUnreadable(reason=f"{problem.sentence} {problem.fix}")
    text = "\n\n".join(document.text for document in documents)
    return create_draft(by, title=name.rpartition(".")[0] or name, text=text, model=model)


def save_draft(
    by: Access,
    draft: Draft,
    *,
    revision: int | None = None,
    title: str | None = None,
    text: str | None = None,
    passages: Sequence[Passage] = (),
    replaces: bool = False,
) -> Draft:
    """Save what was typed or, with passages, an accepted suggestion; return the draft as it is now.

    `revision`: what the caller read, or None for one who can't say. A refused text is kept in a snapshot; so
    is the text that was there, if the caller can't have read it or knowingly `replaces` a newer one. Raises
    DraftChanged and DraftTooLarge.
    """
    by.require_permission(Permission.WRITE_TEXT)
    _require_size(text or "")
    with transaction.atomic():
        now = _lock(draft)
        new_title = now.title if title is None else _clean(title)[:MAX_TITLE]
        new_text = now.text if text is None else _clean(text)
        passages = _not_kept_yet(now, passages)
        is_same = (new_title, new_text) == (now.title, now.text) and not passages
        is_older = revision is not None and revision != now.revision and not is_same
        if is_older:
            _keep(now, by, Reason.OVERTAKEN, new_text)
        elif not is_same:
            if (replaces or revision is None) and now.text not in ("", new_text):
                _keep(now, by, Reason.OVERTAKEN, now.text)
            if passages:
                _keep(now, by, Reason.ACCEPTED, now.text, passages=passages)
            now.title = new_title
            _set_text(now, new_text)
    if is_older:
        raise DraftChanged
    return now


def edit_draft(by: Access, draft: Draft, *, model: str | None = None, is_shared: bool | None = None) -> Draft:
    """Choose the style of suggestions, or share a draft with the workspace.

    Its author shares it, or who may change the workspace. Raises RoleNotAllowed.
    """
    by.require_permission(Permission.WRITE_TEXT)
    changes: dict[str, object] = {} if model is None else {"model": model}
    with transaction.atomic():
        if is_shared is not None and is_shared != draft.is_shared:
            _require_own(by, draft)
            by.audit("draft.shared" if is_shared else "draft.unshared", draft)
            changes["is_shared"] = is_shared
        for name, value in changes.items():
            setattr(draft, name, value)
        if changes:
            draft.save(update_fields=[*changes, "changed_at"])
    return draft


def delete_draft(by: Access, draft: Draft) -> None:
    """Delete a draft with its snapshots. Raises RoleNotAllowed for somebody else's."""
    _require_own(by, draft)
    with transaction.atomic():
        by.audit("draft.deleted", draft)
        draft.delete()


def take_snapshot(by: Access, draft: Draft) -> DraftSnapshot:
    """Keep the text as it is now; return the snapshot, the last one if nothing has changed since."""
    by.require_permission(Permission.WRITE_TEXT)
    with transaction.atomic():
        now = _lock(draft)
        return _keep(now, by, Reason.SAVED, now.text)


def restore_snapshot(by: Access, snapshot: DraftSnapshot) -> Draft:
    """Make a snapshot's text the draft's, and keep the one before in a snapshot of its own."""
    by.require_permission(Permission.WRITE_TEXT)
    with transaction.atomic():
        now = _lock(snapshot.draft)
        if now.text != snapshot.text:
            _keep(now, by, Reason.RESTORED, now.text)
            _set_text(now, snapshot.text)
    return now


def check_draft(by: Access, draft: Draft) -> list[ParagraphCheck]:
    """Return the paragraphs that sound least like the author of the draft's style.

    Raises NoVerifier and DraftTooShort.
    """
    by.require_permission(Permission.WRITE_TEXT)
    style = find_checkable(by.tenant, draft.model)
    if style is None:
        raise NoVerifier
    return check_paragraphs(style, draft.text)


def describe_paragraph(one: ParagraphCheck) -> dict[str, object]:
    """Return where a paragraph is, its percentage, and in words what is unlike the author."""
    reasons = []
    if one.sentence_words and one.own_sentence_words:
        sentence = gettext("Sentences of {words} words on average; the author's have {own}.")
        reasons.append(sentence.format(words=one.sentence_words, own=one.own_sentence_words))
    if one.words:
        reasons.append(gettext("Least like the author: {words}.").format(words=", ".join(one.words)))
    return {"start": one.start, "end": one.end, "percent": one.percent, "reasons": reasons}


def list_passages(draft: Draft) -> list[Passage]:
    """Return what was accepted, the first first, each with its receipt if there is one by now.

    Receipts are issued from the usage ledger, which keeps its rows for some months; so they are kept here.
    """
    passages: list[Passage] = []
    accepted = draft.snapshots.filter(reason=Reason.ACCEPTED).defer("text")
    for snapshot in accepted.order_by("created_at", "id"):
        before = [passage.get("receipt", "") for passage in snapshot.passages]
        for passage in snapshot.passages:
            if not passage.get("receipt"):
                passage["receipt"] = _receipt_of(draft.tenant, passage["request_id"])
        if before != [passage["receipt"] for passage in snapshot.passages]:
            snapshot.save(update_fields=["passages"])
        passages += snapshot.passages
    return passages


def count_generated(text: str, passages: Sequence[Passage]) -> int:
    """Return how many words of a text a style wrote: those in a row of four of an accepted passage."""
    known: set[tuple[str, ...]] = set()
    for passage in passages:
        known.update(list_shingles(normalize_words(passage["text"]), SHINGLE_WORDS))
    words = normalize_words(text)
    generated = [False] * len(words)
    for start, shingle in enumerate(list_shingles(words, SHINGLE_WORDS)):
        if shingle in known:
            generated[start : start + SHINGLE_WORDS] = [True] * SHINGLE_WORDS
    return sum(generated)


def _receipt_of(tenant: Tenant, request_id: str) -> str:
    try:
        return issue_receipt(tenant, request_id)
    except (NoReceipt, NoReceiptKeys):
        return ""


def _lock(draft: Draft) -> Draft:
    return Draft.objects.select_for_update(no_key=True).select_related("tenant").get(pk=draft.pk)


def _set_text(draft: Draft, text: str) -> None:
    draft.text = text
    draft.words = len(text.split())
    draft.revision += 1
    draft.save(update_fields=["title", "text", "words", "revision", "changed_at"])


def _not_kept_yet(draft: Draft, passages: Sequence[Passage]) -> list[Passage]:
    """Return the passages that the last acceptance didn't have: who got no answer sends the same again."""
    if not passages:
        return []
    accepted = draft.snapshots.filter(reason=Reason.ACCEPTED).order_by("-created_at", "-id")
    last = accepted.values_list("passages", flat=True).first() or []
    known = {passage["request_id"] for passage in last}
    return [passage for passage in passages if passage["request_id"] not in known]


def _keep(
    draft: Draft, by: Access, reason: Reason, text: str, *, passages: Sequence[Mapping[str, Any]] = ()
) -> DraftSnapshot:
    """Return a new snapshot, or the last one if it says the same; older ones make room."""
    last = draft.snapshots.filter(has_text=True).order_by("-created_at", "-id").first()
    if last is not None and not passages and (last.text, last.reason) == (text, reason):
        return last
    kept = draft.snapshots.create(
        reason=reason, text=text, words=len(text.split()), passages=list(passages), created_by=by.user
    )
    _prune(draft)
    return kept


def _prune(draft: Draft) -> None:
    """Keep the newest snapshots of a draft within their limits; old accepted ones lose their text alone."""
    with_text = draft.snapshots.filter(has_text=True)
    kept = _newest_within(with_text, "text", MAX_SNAPSHOTS, MAX_SNAPSHOT_CHARACTERS)
    old = with_text.exclude(pk__in=kept)
    old.filter(reason=Reason.ACCEPTED).update(text="", has_text=False)
    old.exclude(reason=Reason.ACCEPTED).delete()
    accepted = draft.snapshots.filter(has_text=False)
    passages = Cast("passages", TextField())
    kept = _newest_within(accepted, passages, MAX_ACCEPTED, MAX_ACCEPTED_CHARACTERS)
    accepted.exclude(pk__in=kept).delete()


def _newest_within(
    snapshots: QuerySet[DraftSnapshot], column: str | Cast, most: int, most_characters: int
) -> list[UUID]:
    """Return the newest snapshots, at most so many, that have so many characters of a column together."""
    newest = [F("created_at").desc(), F("id").desc()]
    rows = snapshots.annotate(characters=Window(Sum(Length(column)), order_by=newest)).order_by(*newest)
    return [
        pk for pk, characters in rows.values_list("pk", "characters")[:most] if characters <= most_characters
    ]


def _require_own(by: Access, draft: Draft) -> None:
    is_own = draft.author_id is not None and by.maker is not None and draft.author_id == by.maker.pk
    by.require_permission(Permission.WRITE_TEXT if is_own else Permission.EDIT_WORKSPACE)


def _require_size(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise DraftTooLarge(most=MAX_CHARACTERS, characters=len(text))


def _clean(text: str) -> str:
    """Return a text as PostgreSQL can store it, with the line ends that a browser counts."""
    return text.replace("\0", "").replace("\r\n", "\n").encode(errors="replace").decode()
