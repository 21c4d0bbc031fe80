"""Documents of a training: announce, read, leave out, delete."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from core.rest.objects import MessageText
from tenants.rest import described, post
from training import actions
from training.api.trainings import TrainingApiViewSet, TrainingObject
from training.documents import MAX_DOCUMENTS
from training.models import Document, Training

MAX_SIZE = 2**62


class DocumentObject(serializers.Serializer[Document]):
    """A text to learn from."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="training_document", read_only=True)
    name = serializers.CharField(help_text="The file's name.", initial="chapter-1.docx")
    status = serializers.ChoiceField(Document.Status.choices, initial="read")
    size_bytes = serializers.IntegerField(initial=48_213)
    format = serializers.CharField(initial="docx")
    words = serializers.IntegerField(initial=5120)
    language = serializers.CharField(help_text="ISO 639-1 code. Empty if unclear.", initial="en")
    removed = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="What was left out while reading, by kind.",
        initial={"page_numbers": 14},
    )
    first_words = serializers.CharField(
        help_text="How the text begins, as we read it.", initial="The river had risen in the night …"
    )
    refusal = MessageText(help_text="Why it can't be used. Empty otherwise.")
    fix = MessageText(source="refusal_fix", help_text="What to do about it.")
    is_left_out = serializers.BooleanField()


class DocumentUploadObject(DocumentObject):
    """A new document, and the form that posts its file to the storage."""

    example = dict(status="uploading")

    upload = serializers.DictField(
        help_text="`url`, and `fields` to send before the file, as multipart.",
        initial={"url": "https://files.example.com/polyscribe", "fields": {"key": "trainings/…"}},
    )


class AddedDocuments(serializers.Serializer[Any]):
    """New documents."""

    object = serializers.CharField(default="list", read_only=True)
    data = DocumentUploadObject(many=True)  # type: ignore[assignment]


class DocumentFileBody(StrictSerializer):
    """A file to add."""

    name = TextField(max_length=200, help_text="The file's name.", initial="chapter-1.docx")
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_SIZE, initial=48_213)


class DocumentsBody(StrictSerializer):
    """The files to add."""

    files = serializers.ListSerializer[Any](
        child=DocumentFileBody(), allow_empty=False, max_length=MAX_DOCUMENTS
    )


class TextBody(StrictSerializer):
    """A text to add."""

    name = TextField(max_length=200, help_text="A title, such as `Letter to Anna.txt`.", initial="Letter.txt")
    text = TextField(max_length=actions.MAX_PASTED_BYTES, trim_whitespace=False, initial="Dear Anna, …")


class DocumentBody(StrictSerializer):
    """What can be changed of a document."""

    is_left_out = serializers.BooleanField(help_text="Leave it out of the training.", initial=True)


class DocumentViewSet(TrainingApiViewSet):
    """Documents of a training."""

    resource, noun, nouns = "trainings.documents", "document", "a training's documents"
    reads = {"list": "Return documents, newest first.", "retrieve": "Return a document."}
    serializer_class = DocumentObject
    new_body = DocumentsBody
    body = DocumentBody
    lookup_url_kwarg = "document_id"

    def get_queryset(self) -> QuerySet[Document]:
        return Document.objects.filter(training=self.training()).select_related("training")

    def find_parent(self) -> None:
        """Find the training for which documents are added. Raises Http404."""
        self.training()

    @described(summary="Add documents to a training", answer=AddedDocuments)
    def create(self, body: dict[str, Any]) -> Response:
        """Return an upload form for each file. Post the files, then call `trainings.documents.finish`."""
        files = {file["name"]: file["size_bytes"] for file in body["files"]}
        data = []
        for document, form in actions.add_documents(self.access, self.training(), files):
            data.append({**self.present(document), "upload": {"url": form.url, "fields": form.fields}})
        return Response({"object": "list", "data": data}, status=201)

    @described(summary="Include or leave out a document", is_locked=False)
    def partial_update(self, document: Document, body: dict[str, bool]) -> None:
        """Change whether the training uses a document."""
        actions.leave_out_document(self.access, document, is_left_out=body["is_left_out"])

    @described(is_repeatable=True)
    def destroy(self, document: Document) -> None:
        """Delete a document and its text."""
        actions.delete_document(self.access, document)

    @post("Complete the upload of documents", detail=False, answer=TrainingObject, is_repeatable=True)
    def finish(self) -> Training:
        """Read the documents that have arrived. Repeating the call has no effect."""
        actions.finish_documents(self.access, self.training())
        return self.training()


class TextViewSet(TrainingApiViewSet):
    """Texts instead of files."""

    resource = "trainings.documents"
    serializer_class = DocumentObject

    @post("Add a text to a training", url_path="text", body=TextBody, status=201, is_repeatable=True)
    def add_text(self, training: Training, body: dict[str, str]) -> Document:
        """Add a text of up to 2 MB."""
        return actions.add_text(self.access, training, **body)
