"""Drafts and their snapshots, for programs. Suggestions are ordinary requests to `/v1/chat/completions`."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import PersonField, present
from drafts import actions
from drafts.models import MAX_CHARACTERS, MAX_MODEL, MAX_TITLE, Draft, DraftSnapshot
from tenants.models import Scope
from tenants.rest import WorkspaceViewSet, get, post
from tenants.roles import Permission

MODEL_HELP = "The model that suggestions are written with, such as `acme/my-voice`."


class DraftRowObject(serializers.Serializer[Draft]):
    """A draft, without its text."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="draft", read_only=True)
    title = serializers.CharField(help_text="Empty for an untitled one.", initial="The ferry")
    words = serializers.IntegerField(help_text="Of its text.", initial=1_204)
    model = serializers.CharField(help_text=MODEL_HELP, initial="acme/my-voice")
    is_shared = serializers.BooleanField(help_text="Whether all members who write can open it.")
    author = PersonField("author", "Email address of its author. `null` once the account is deleted.")
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField(help_text="When it was changed last.")


class DraftObject(DraftRowObject):
    """A draft."""

    text = serializers.CharField(
        help_text="Plain text, or Markdown.", initial="The river had risen in the night …"
    )
    generated_words = serializers.IntegerField(
        help_text="How many of its words were written by a style, of accepted suggestions.",
        initial=86,
    )


class DraftBody(StrictSerializer):
    """The fields of a draft that can be updated."""

    example = dict(title="The ferry at low water")

    title = TextField(max_length=MAX_TITLE, allow_blank=True, required=False, help_text="Empty for none.")
    text = TextField(
        max_length=MAX_CHARACTERS,
        allow_blank=True,
        trim_whitespace=False,
        required=False,
        help_text="Plain text, or Markdown.",
    )
    model = TextField(max_length=MAX_MODEL, required=False, help_text=MODEL_HELP)
    is_shared = serializers.BooleanField(required=False, help_text="Share it with all members who write.")


class NewDraftBody(StrictSerializer):
    """A new draft."""

    title = TextField(
        max_length=MAX_TITLE,
        allow_blank=True,
        required=False,
        help_text="Empty for none.",
        initial="The ferry",
    )
    text = TextField(
        max_length=MAX_CHARACTERS,
        allow_blank=True,
        trim_whitespace=False,
        required=False,
        help_text="Plain text, or Markdown.",
        initial="The river had risen in the night …",
    )
    model = TextField(max_length=MAX_MODEL, required=False, help_text=MODEL_HELP, initial="acme/my-voice")


class SnapshotObject(serializers.Serializer[DraftSnapshot]):
    """A text that a draft had."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="draft_snapshot", read_only=True)
    reason = serializers.ChoiceField(
        DraftSnapshot.Reason.choices, help_text="Why it was taken.", initial="accepted"
    )
    words = serializers.IntegerField(help_text="Of its text.", initial=1_180)
    text = serializers.CharField(help_text="The text.", initial="The river rose in the night …")
    created_at = serializers.DateTimeField()


class PassageObject(serializers.Serializer[Any]):
    """What a style wrote of a draft."""

    request_id = serializers.CharField(help_text="The request that wrote it.", initial="req_0f8d")
    model = serializers.CharField(help_text="The model that wrote it.", initial="acme/my-voice")
    text = serializers.CharField(
        help_text="As the style wrote it.", initial="The river had come up overnight …"
    )
    receipt = serializers.CharField(help_text="Signed. Empty until it is issued.", initial="eyJhbGciOi…")


class PassagesObject(serializers.Serializer[Any]):
    """What styles wrote of a draft."""

    object = serializers.CharField(default="list", read_only=True)
    data = PassageObject(many=True, help_text="The first first.")  # type: ignore[assignment]


class ParagraphObject(serializers.Serializer[Any]):
    """A paragraph that sounds less like the author than the author's own texts do."""

    start = serializers.IntegerField(help_text="Where it begins in the text, in characters.", initial=904)
    end = serializers.IntegerField(help_text="Where it ends in the text, in characters.", initial=1_310)
    percent = serializers.IntegerField(
        allow_null=True, help_text="As of `styles.check_draft`, for this paragraph.", initial=12
    )
    reasons = serializers.ListField(
        child=serializers.CharField(),
        help_text="In words, where something stands out.",
        initial=["Least like the author: leveraging, synergies."],
    )


class DraftParagraphsObject(serializers.Serializer[Any]):
    """The paragraphs of a draft that sound least like the author of its style."""

    object = serializers.CharField(default="draft_paragraphs", read_only=True)
    paragraphs = ParagraphObject(many=True, help_text="In the order of the text.")


class DraftsViewSet(WorkspaceViewSet):
    """Drafts that the key's creator can open: their own, and those shared with the workspace."""

    tag, noun, nouns = "drafts", "draft", "drafts"
    scope = Scope.DRAFTS_WRITE
    needs = Permission.WRITE_TEXT
    reads = {
        "list": ("Return drafts without their texts, newest first.", {"answer": DraftRowObject}),
        "retrieve": "Return a draft with its text.",
    }
    queryset = Draft.objects.select_related("author", "tenant")
    serializer_class = DraftObject
    new_body = NewDraftBody
    body = DraftBody
    lookup_url_kwarg = "draft_id"

    def get_queryset(self) -> QuerySet[Draft]:
        return self.queryset.visible_to(self.access.tenant, self.access.maker)

    def present_page(self, rows: list[Draft]) -> list[dict[str, object]]:
        """Return drafts without their texts."""
        return [present(DraftRowObject, row) for row in rows]

    def present(self, row: Draft) -> dict[str, object]:
        """Return a draft with how much of it a style wrote."""
        generated_words = actions.count_generated(row.text, actions.list_passages(row))
        return {**present(DraftRowObject, row), "text": row.text, "generated_words": generated_words}

    def create(self, body: dict[str, str]) -> Draft:
        """Return a new draft. Only its author can open it until it is shared."""
        return actions.create_draft(self.access, **body)

    def partial_update(self, draft: Draft, body: dict[str, Any]) -> Draft:
        """Change a draft. Without `If-Match`, the text until now is kept in a snapshot. Pages that are open
        notice the change, and keep what was typed in them."""
        if "title" in body or "text" in body:
            title, text = body.get("title"), body.get("text")
            revision = draft.revision if self.request.headers.get("If-Match", "*") != "*" else None
            draft = actions.save_draft(self.access, draft, revision=revision, title=title, text=text)
        return actions.edit_draft(
            self.access, draft, model=body.get("model"), is_shared=body.get("is_shared")
        )

    def destroy(self, draft: Draft) -> None:
        """Delete a draft with its history."""
        actions.delete_draft(self.access, draft)

    @get("List what styles wrote of a draft", answer=PassagesObject)
    def passages(self, draft: Draft) -> Response:
        """Return the accepted suggestions, the first first, with their receipts."""
        passages = [present(PassageObject, one) for one in actions.list_passages(draft)]
        return Response({"object": "list", "data": passages})

    @post(
        "Find what sounds least like the author",
        answer=DraftParagraphsObject,
        is_post=False,
        is_repeatable=True,
    )
    def check(self, draft: Draft) -> Response:
        """Compare each paragraph of a draft with the author of its style, one of your own with evidence. It's
        free."""
        paragraphs = [actions.describe_paragraph(one) for one in actions.check_draft(self.access, draft)]
        return Response({"object": "draft_paragraphs", "paragraphs": paragraphs})


class SnapshotViewSet(WorkspaceViewSet):
    """Earlier texts of a draft."""

    tag, resource, noun, nouns = "drafts", "drafts.snapshots", "snapshot", "a draft's snapshots"
    scope = Scope.DRAFTS_WRITE
    needs = Permission.WRITE_TEXT
    reads = {"list": "Return snapshots, newest first.", "retrieve": "Return a snapshot."}
    serializer_class = SnapshotObject
    lookup_url_kwarg = "snapshot_id"

    def draft(self) -> Draft:
        """Return the draft of the address. Raises Http404."""
        drafts = Draft.objects.visible_to(self.access.tenant, self.access.maker)
        return get_object_or_404(drafts, pk=self.kwargs["draft_id"])

    def get_queryset(self) -> QuerySet[DraftSnapshot]:
        return DraftSnapshot.objects.filter(draft=self.draft(), has_text=True).select_related("draft__tenant")

    def find_parent(self) -> None:
        """Find the draft. Raises Http404."""
        self.draft()

    @post(
        "Take a snapshot of a draft", detail=False, url_path="", name="create", status=201, is_repeatable=True
    )
    def take(self) -> DraftSnapshot:
        """Keep the text as it is now."""
        return actions.take_snapshot(self.access, self.draft())

    @post("Restore a snapshot of a draft", answer=DraftRowObject, is_repeatable=True)
    def restore(self, snapshot: DraftSnapshot) -> Draft:
        """Make its text the draft's. The text until now is kept in a snapshot."""
        return actions.restore_snapshot(self.access, snapshot)
