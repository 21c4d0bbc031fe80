"""Versions of a style: list, begin, get, delete, their reports and cards, and what moves one on."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from adapters import actions
from adapters.api.addresses import (
    AtOnceBody,
    StyleApiViewSet,
    find_own_version,
    find_shown_version,
    version_of,
    with_facts,
)
from adapters.api.erasures import ErasureObject, present_erasure
from adapters.api.upload_object import METHODS, NewUploadObject, present_new_upload
from adapters.errors import NoCard, NoEvaluation
from adapters.evidence import EvaluationObject, present_evaluation, reads_texts
from adapters.models import AdapterVersion, Erasure, Evaluation, EvaluationStatus, Status
from adapters.object_store import DOWNLOAD_VALID_S
from adapters.quality.samples import StyleCard, facts_of, style_card_of
from adapters.releases import aliases
from adapters.uploads import sessions
from adapters.uploads.upload_request import QUANTISATIONS, StyleDescription
from core.rest.bodies import StrictSerializer, TextField, choice_query
from core.rest.objects import MessageText, PersonField
from tenants.rest import described, get, post

MAX_FILES = 10  # more than are ever taken, so that each that is not is named
MAX_FILE_BYTES = 2**62  # beyond every limit, and still a number that a sentence can give in MiB


class FindingObject(serializers.Serializer[Any]):
    """A problem found by validation, and how to fix it."""

    code = serializers.CharField(
        help_text="Stable, machine-readable code. See docs/adapters.md.", initial="rank_too_high"
    )
    sentence = MessageText(
        source="sentence_message", initial="The rank is 256; this engine supports up to 64."
    )
    fix = MessageText(source="fix_message", initial="Train with r=64 or less.")
    tensor = serializers.CharField(required=False, help_text="The affected tensor, if any.", initial="")


class VersionObject(serializers.Serializer[Any]):
    """An uploaded adapter. Its weights never change, but which version is live can change."""

    example: ClassVar[dict[str, Any]] = dict(findings=[], erasure=None)

    id = serializers.UUIDField()
    object = serializers.CharField(default="version", read_only=True)
    style = serializers.UUIDField(source="style_id")  # type: ignore[assignment]
    number = serializers.IntegerField()
    model = serializers.CharField(
        source="model_name",
        read_only=True,
        help_text="The value for `model` that addresses this version.",
        initial="acme/brand-voice@4",
    )
    status = serializers.ChoiceField(Status.choices, initial="serving")
    is_live = serializers.BooleanField(
        read_only=True, help_text="Whether it answers for its style, in its owner's workspace."
    )
    is_canary = serializers.BooleanField(
        read_only=True, help_text="Whether it is tried on a share of the requests.", initial=True
    )
    is_approved = serializers.BooleanField(
        read_only=True,
        help_text="Whether operators approved this version of a public style for other workspaces.",
    )
    auto_promote = serializers.BooleanField(
        help_text="Whether the version goes live as soon as it is serving."
    )
    note = MessageText(help_text="What the current step is waiting for.")
    failure = MessageText(help_text="Why no engine could load it.")
    share_refusal = MessageText(
        help_text="Why other workspaces can't have it, from its evaluation. Empty if they can."
    )
    findings = FindingObject(many=True, help_text="Why the version was rejected, each with a fix.")
    is_convertible = serializers.BooleanField(
        read_only=True, help_text="Whether `autofix` can correct the version."
    )
    converted_from = serializers.IntegerField(
        source="converted_from.number",
        allow_null=True,
        read_only=True,
        help_text="The number of the version that it was converted from.",
    )
    files = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Maps file names to sizes in bytes.",
        initial={"adapter_config.json": 812, "adapter_model.safetensors": 2_459_136},
    )
    size_bytes = serializers.IntegerField()
    stored_bytes = serializers.IntegerField(
        help_text="Bytes that count towards the plan's storage.", initial=2_459_948
    )
    sha256 = serializers.CharField(
        help_text="SHA-256 of adapter_model.safetensors. Empty until it is checked."
    )
    config_sha256 = serializers.CharField()
    rank = serializers.IntegerField(allow_null=True, initial=8)
    alpha = serializers.FloatField(allow_null=True, initial=16.0)
    target_modules = serializers.ListField(child=serializers.CharField(), initial=["q_proj", "v_proj"])
    stated_quantisation = serializers.CharField(initial="none")
    effects = serializers.SerializerMethodField(
        help_text="A description of its effect, once measured.",
        initial=["strong effect", "9 words per sentence"],
    )
    erasure = serializers.SerializerMethodField(help_text="Id of its erasure, once deleted.")
    created_by = PersonField("created_by")
    created_at = serializers.DateTimeField()
    files_gone_at = serializers.DateTimeField(allow_null=True)

    def get_effects(self, version: AdapterVersion) -> list[str]:
        """Return what its probe found, in words."""
        return facts_of(version)

    def get_erasure(self, version: AdapterVersion) -> str | None:
        """Return the id of its erasure."""
        return str(version.pk) if hasattr(version, "erasure") else None


class NewVersionObject(VersionObject):
    """A new version, and how to upload its files."""

    example = dict(status="uploading")

    upload = NewUploadObject(help_text="How to upload the files.")


class ReportObject(serializers.Serializer[Any]):
    """A validation report."""

    object = serializers.CharField(default="report", read_only=True)
    version = serializers.IntegerField(source="number", initial=2)
    status = serializers.ChoiceField(Status.choices, initial="rejected")
    findings = FindingObject(many=True)
    conversions = serializers.SerializerMethodField(
        help_text="What `autofix` would do. Empty if it can't help.", initial=[]
    )

    def get_conversions(self, version: AdapterVersion) -> list[str]:
        """Return a sentence for each correction."""
        return sessions.offered_conversions(version)


class SampleObject(serializers.Serializer[Any]):
    """A prompt with the answers of the base model and the style."""

    prompt = serializers.CharField(initial="Why is the sky blue?")
    base = serializers.CharField(initial="The sky is blue because of scattering.")
    style = serializers.CharField(help_text="The style's answer.", initial="Blue sells.")  # type: ignore[assignment]


class ShiftObject(serializers.Serializer[Any]):
    """How much an adapter shifts the base model's output for a prompt."""

    prompt = serializers.CharField(initial="Why is the sky blue?")
    shift = serializers.FloatField(help_text="In nats per token.", initial=0.69)


class MeasureObject(serializers.Serializer[Any]):
    """A measurement over all sample answers."""

    label = serializers.CharField(initial="Words per sentence")  # type: ignore[assignment]
    base = serializers.CharField(help_text="The base model's value.", initial="17")
    style = serializers.CharField(help_text="The style's value.", initial="9")  # type: ignore[assignment]


class CardObject(serializers.Serializer[Any]):
    """A version's style card: its effect on the base model, measured on an engine."""

    object = serializers.CharField(default="card", read_only=True)
    version = serializers.IntegerField(source="number")
    strength = serializers.FloatField(
        help_text="Mean shift of log probabilities, in nats per token.", initial=0.71
    )
    effect = serializers.CharField(source="word", help_text="The effect size as a word.", initial="strong")
    factor = serializers.FloatField(
        help_text="Factor by which the probability of a likely next token changes.", initial=2.03
    )
    peer = serializers.CharField(
        source="peer.version.style.model_name",
        allow_null=True,
        help_text="A well-known style for comparison.",
        initial="poetry",
    )
    peer_strength = serializers.FloatField(source="peer.strength", allow_null=True, initial=0.64)
    shifts = ShiftObject(many=True, source="bars", help_text="How much the output shifts, by prompt.")
    measures = MeasureObject(many=True, source="rows", help_text="Measurements over all sample answers.")
    phrases = serializers.ListField(
        child=serializers.CharField(), help_text="Phrases typical of its answers.", initial=["good news"]
    )
    samples = SampleObject(many=True, help_text="Sample answers of the base model and the style.")


class FileObject(serializers.Serializer[Any]):
    """A file of a version, and its download URL."""

    name = serializers.CharField(help_text="The file's name.", initial="adapter_config.json")
    size_bytes = serializers.IntegerField(initial=812)
    sha256 = serializers.CharField(
        help_text="SHA-256 of the file. Verify it after the download.", initial="9f2c" + "0" * 60
    )
    url = serializers.URLField(
        help_text="Don't send your API key to this URL: anyone who has the URL can read the file.",
        initial="https://storage.example.com/polyscribe/adapters/9a1c7e52/adapter_config.json?X-Amz-Signature=4f1c",
    )


class DownloadObject(serializers.Serializer[Any]):
    """A version's files."""

    object = serializers.CharField(default="download", read_only=True)
    model = serializers.CharField(initial="acme/brand-voice@4")
    files = FileObject(many=True)
    urls_valid_s = serializers.IntegerField(help_text="How many seconds the URLs are valid.", initial=600)


class FileBody(StrictSerializer):
    """A file to upload."""

    name = TextField(
        max_length=255, help_text="adapter_config.json, adapter_model.safetensors, or an archive."
    )
    size_bytes = serializers.IntegerField(min_value=0, max_value=MAX_FILE_BYTES)


class NewVersionBody(StrictSerializer):
    """A new version of a style."""

    example = dict(
        files=[
            {"name": "adapter_config.json", "size_bytes": 812},
            {"name": "adapter_model.safetensors", "size_bytes": 10_485_760},
        ]
    )

    files = serializers.ListSerializer[Any](child=FileBody(), max_length=MAX_FILES)
    method = serializers.ChoiceField(
        METHODS,
        default="post",
        help_text="Use `multipart` for large files: parallel parts, resumable.",
        initial="multipart",
    )
    auto_promote = serializers.BooleanField(
        default=True,
        help_text="If true, the version goes live as soon as it is serving. Otherwise promote it yourself.",
        initial=False,
    )
    stated_quantisation = serializers.ChoiceField(
        QUANTISATIONS,
        default="",
        help_text="Quantisation of the base model used in training. Empty if unspecified.",
    )

    def validate_files(self, files: list[dict[str, Any]]) -> dict[str, int]:
        """Return file name → size in bytes. Refuse two of one name."""
        sizes = {file["name"]: file["size_bytes"] for file in files}
        if len(sizes) < len(files):
            raise serializers.ValidationError("Each file name must be unique.")
        return sizes


class VersionViewSet(StyleApiViewSet):
    """Versions of the workspace's own styles; of others, what the live one's card and evaluation show."""

    tag, noun, nouns = "versions", "version", "a style's versions"
    reads = {
        "list": "Return the versions, newest first.",
        "retrieve": "Return a version of one of the workspace's styles.",
    }
    serializer_class = VersionObject
    created_class = NewVersionObject
    new_body = NewVersionBody
    query = choice_query("status", Status.choices)
    ordering = ("-number",)
    lookup_url_kwarg = "number"

    def get_queryset(self) -> QuerySet[AdapterVersion]:
        return with_facts(self.own_style().versions.all())

    def get_object(self, *, is_locked: bool = False) -> AdapterVersion:
        """Return the version. Raises NoSuchStyle, OthersStyle or VersionNotFound."""
        find = find_shown_version if self.action in ("card", "evaluation") else find_own_version
        return find(self.access, self.kwargs["style"], self.kwargs["number"])

    def create(self, body: dict[str, Any]) -> tuple[AdapterVersion, dict[str, object]]:
        """Start the upload of a new version. Return it with the upload of each file; once they have arrived,
        call `uploads.finish`."""
        own = self.own_style()
        files, method = body.pop("files"), body.pop("method")
        about = StyleDescription(slug=own.slug, **body)
        begun, forms = actions.begin_upload(self.access, about, files, method=method)
        version = version_of(own, begun.number)
        return version, {"upload": present_new_upload(version, forms)}

    @described(body=AtOnceBody, answer=ErasureObject, status=202)
    def destroy(self, version: AdapterVersion, body: dict[str, Any]) -> Response:
        """Start erasing a version's files everywhere and return the erasure. Deleting the last version
        deletes the style."""
        begun = actions.delete_version(self.access, version, at_once=body["at_once"])
        erasure = Erasure.objects.select_related("version__style__owner").get(pk=begun.pk)
        return self.answer_object(present_erasure(erasure), status=202)

    @get("Get a version's validation report", answer=ReportObject)
    def report(self, version: AdapterVersion) -> AdapterVersion:
        """Return all findings and how to fix them. Empty for a valid version."""
        return version

    @post("Correct a rejected version", status=201)
    def autofix(self, version: AdapterVersion) -> AdapterVersion:
        """Convert a rejected version and return the corrected one, which is checked again. Repeating the call
        returns the same one."""
        return version_of(version.style, actions.convert_version(self.access, version).number)

    @post("Retry loading a failed version")
    def retry(self, version: AdapterVersion) -> None:
        """Send a failed version to the engines again."""
        actions.retry_version(self.access, version)

    @post("Retire a version", body=AtOnceBody)
    def retire(self, version: AdapterVersion, body: dict[str, Any]) -> None:
        """Retire a version permanently. Its files are kept. Repeating the call has no effect."""
        actions.retire_version(self.access, version, at_once=body["at_once"])

    @post("Promote a version to live")
    def promote(self, version: AdapterVersion) -> None:
        """Make a serving version the live version and end the canary."""
        aliases.promote(self.access, version)

    @post("Get download URLs for a version's files", answer=DownloadObject, is_post=False, is_repeatable=True)
    def download(self, version: AdapterVersion) -> Response:
        """Return download URLs for the files of your own version. The audit log records the download."""
        files = actions.download_version(self.access, version)
        shown = {"model": version.model_name, "files": files, "urls_valid_s": DOWNLOAD_VALID_S}
        return Response(DownloadObject(shown).data)

    @get("Get a version's style card", answer=CardObject)
    def card(self, version: AdapterVersion) -> StyleCard:
        """Return a version's style card: any version of your own styles, the live version of others."""
        # Others see the first samples only, as on the page: the rest answers prompts of the owner's own.
        card = style_card_of(version, has_all_samples=self._is_own(version))
        if card is None:
            raise NoCard(number=version.number)
        return card

    @get("Get a version's evaluation", answer=EvaluationObject)
    def evaluation(self, version: AdapterVersion) -> Response:
        """Return a version's newest evaluation: any version of your own styles. Of other styles, return the
        figures of the live version."""
        evaluations = Evaluation.objects.filter(version=version)
        if not self._is_own(version):
            evaluations = evaluations.filter(status=EvaluationStatus.SUCCEEDED)
        newest_first = evaluations.select_related("version__style__owner").order_by("-created_at")
        evaluation = newest_first.defer("verifier").first()
        if evaluation is None:
            raise NoEvaluation(number=version.number)
        has_texts = reads_texts(self.access, evaluation.version.style)
        return self.answer_object(present_evaluation(evaluation, has_texts=has_texts))

    def _is_own(self, version: AdapterVersion) -> bool:
        return version.style.owner_id == self.access.tenant.pk
