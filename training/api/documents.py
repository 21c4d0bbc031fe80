"""Documents of a training: announce, read, leave out, delete."""

from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.rest.bodies import StrictSerializer, TextField
from tenants.rest import idempotent, repeatable
from training import actions
from training.api.base import TrainingApiView, find_training, read_operation, write_operation
from training.api.presenters import DocumentObject, TrainingObject, present_document
from training.documents import MAX_DOCUMENTS, MAX_PASTED_BYTES
from training.models import Document

MAX_SIZE = 2**62


class DocumentFileBody(StrictSerializer):
    """A file to add."""

    name = TextField(max_length=200)
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_SIZE)


class DocumentsBody(StrictSerializer):
    """The files to add."""

    files = serializers.ListSerializer[Any](
        child=DocumentFileBody(), allow_empty=False, max_length=MAX_DOCUMENTS
    )


class TextBody(StrictSerializer):
    """A text to add."""

    name = TextField(max_length=200, help_text="A title, such as `Letter to Anna.txt`.")
    text = TextField(max_length=MAX_PASTED_BYTES, trim_whitespace=False)


class DocumentBody(StrictSerializer):
    """What can be changed of a document."""

    is_left_out = serializers.BooleanField(help_text="Leave it out of the training.")


class DocumentUploadObject(DocumentObject):
    """A new document, and the form that posts its file to the storage."""

    example: ClassVar = {
        **DocumentObject.example,
        "status": "uploading",
        "upload": {"url": "https://files.example.com/polyscribe", "fields": {"key": "trainings/…"}},
    }

    upload = serializers.DictField(help_text="`url`, and `fields` to send before the file, as multipart.")


class AddedDocuments(serializers.Serializer[Any]):
    """New documents."""

    example: ClassVar = {"object": "list", "data": [DocumentUploadObject.example]}

    object = serializers.CharField(default="list", read_only=True)
    data = DocumentUploadObject(many=True)  # type: ignore[assignment]


class DocumentsView(TrainingApiView):
    """All documents of a training, and new ones."""

    @read_operation(
        "trainings.documents.list", "List a training's documents", answer=DocumentObject, is_page=True
    )
    def get(self, request: Request, training_id: UUID) -> Response:
        """Return documents, newest first."""
        rows = Document.objects.filter(training=find_training(self.access, training_id))
        return self.answer_page(rows, lambda page: [present_document(row) for row in page])

    @write_operation(
        "trainings.documents.create",
        "Add documents to a training",
        body=DocumentsBody,
        answer=AddedDocuments,
        status=201,
        is_post=True,
        body_example={"files": [{"name": "chapter-1.docx", "size_bytes": 48213}]},
    )
    @idempotent
    def post(self, request: Request, training_id: UUID) -> Response:
        """Return an upload form for each file. Post the files, then call `trainings.documents.finish`."""
        training = find_training(self.access, training_id)
        files = {file["name"]: file["size_bytes"] for file in self.read_body(DocumentsBody)["files"]}
        data = []
        for document, form in actions.add_documents(self.access, training, files):
            upload = {"url": form.url, "fields": form.fields}
            data.append({**present_document(document), "upload": upload})
        return Response({"object": "list", "data": data}, status=201)


class FinishView(TrainingApiView):
    """The end of an upload of documents."""

    @write_operation(
        "trainings.documents.finish",
        "Complete the upload of documents",
        answer=TrainingObject,
        is_post=True,
    )
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Read the documents that have arrived. Repeating the call has no effect."""
        return self.act(training_id, actions.finish_documents)


class TextView(TrainingApiView):
    """A text instead of a file."""

    @write_operation(
        "trainings.documents.add_text",
        "Add a text to a training",
        body=TextBody,
        answer=DocumentObject,
        status=201,
        is_post=True,
        body_example={"name": "Letter.txt", "text": "Dear Anna, …"},
    )
    @repeatable
    def post(self, request: Request, training_id: UUID) -> Response:
        """Add a text of up to 2 MB."""
        training = find_training(self.access, training_id)
        document = actions.add_text(self.access, training, **self.read_body(TextBody))
        return self.answer_object(present_document(document), status=201)


class DocumentView(TrainingApiView):
    """One document."""

    @read_operation("trainings.documents.get", "Get a document", answer=DocumentObject)
    def get(self, request: Request, training_id: UUID, document_id: UUID) -> Response:
        """Return a document."""
        return self.answer_object(present_document(self._find(training_id, document_id)))

    @write_operation(
        "trainings.documents.edit",
        "Include or leave out a document",
        body=DocumentBody,
        answer=DocumentObject,
        is_edit=True,
        body_example={"is_left_out": True},
    )
    def patch(self, request: Request, training_id: UUID, document_id: UUID) -> Response:
        """Change whether the training uses a document."""
        document = self._find(training_id, document_id)
        self.require_match(present_document(document))
        body = self.read_body(DocumentBody)
        actions.leave_out_document(self.access, document, is_left_out=body["is_left_out"])
        document.refresh_from_db()
        return self.answer_object(present_document(document))

    @write_operation("trainings.documents.delete", "Delete a document", status=204, is_change=True)
    def delete(self, request: Request, training_id: UUID, document_id: UUID) -> Response:
        """Delete a document and its text."""
        actions.delete_document(self.access, self._find(training_id, document_id))
        return Response(status=204)

    def _find(self, training_id: UUID, document_id: UUID) -> Document:
        training = find_training(self.access, training_id)
        return get_object_or_404(
            Document.objects.select_related("training"), pk=document_id, training=training
        )
