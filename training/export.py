"""The export of a workspace's trainings: facts about them, their documents and files.

Operators hand it out, so it contains no texts, not even their first words.
"""

from adapters.models import Evaluation
from tenants.export import Table as ExportTable
from tenants.export import make_table as make_export_table
from tenants.models import Tenant
from training.models import Document, File, Training

TRAINING_COLUMNS = (
    *("id", "slug", "name", "status", "version__number", "evaluated_version__number", "report"),
    *("corpus_sha256", "seed", "recipe"),
    *("epochs", "examples", "validation_examples", "steps", "step", "trained_tokens", "training_loss"),
    *("validation_loss", "stopped_early", "rights_stated_at", "rights_stated_by__email"),
    *(
        "keeps_documents",
        "documents_gone_at",
        "created_by__email",
        "created_at",
        "started_at",
        "ran_at",
        "ended_at",
    ),
)
DOCUMENT_COLUMNS = (
    *("training", "id", "name", "size_bytes", "status", "format", "words", "language", "quotation_share"),
    *("removed", "is_left_out", "created_at"),
)
EVALUATION_COLUMNS = (
    *("id", "version__style__slug", "version__number", "status", "failure", "figures"),
    *("created_at", "ended_at"),
)
FILE_COLUMNS = ("id", "purpose", "name", "size_bytes", "job", "created_at", "expires_at", "deleted_at")


def list_exported(tenant: Tenant) -> list[ExportTable]:
    """Return a workspace's trainings, and the facts of their documents and of its files."""
    trainings = Training.objects.filter(tenant=tenant).order_by("created_at", "pk")
    documents = Document.objects.filter(training__tenant=tenant).order_by("training", "created_at", "pk")
    evaluations = Evaluation.objects.filter(version__style__owner=tenant).order_by("created_at", "pk")
    files = File.objects.filter(tenant=tenant).order_by("created_at", "pk")
    return [
        make_export_table("trainings", trainings, *TRAINING_COLUMNS),
        make_export_table("documents", documents, *DOCUMENT_COLUMNS),
        make_export_table("evaluations", evaluations, *EVALUATION_COLUMNS),
        make_export_table("files", files, *FILE_COLUMNS),
    ]
