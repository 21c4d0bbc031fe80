"""What a job is asked for, checked and turned into what a training does."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.text import slugify
from rest_framework import serializers

from adapters.models import SLUG_CHARACTERS, WORDS_CHARACTERS
from core.rest.bodies import StrictSerializer, TextField
from inference.public import BadRequest
from tenants.access import Access
from training.actions import JobRequest
from training.models import MAX_EPOCHS, File
from training.openai_api.file_views import find_file
from training.openai_api.shapes import AUTO, HyperparametersBody, MethodBody, NotFineTunable

BASE = "base"
MAX_SUFFIX = 64
MAX_SEED = 2**31 - 1
MAX_METADATA = 16
MAX_METADATA_KEY, MAX_METADATA_VALUE = 64, 512
SLUG_ENDS = re.compile(r"^-+|-+$")


class JobBody(StrictSerializer):
    """A new job."""

    model = TextField(max_length=200, help_text="The model to train on: `base`.")
    training_file = TextField(max_length=100)
    validation_file = TextField(max_length=100, required=False, allow_null=True)
    suffix = TextField(max_length=MAX_SUFFIX, required=False, allow_null=True)
    seed = serializers.IntegerField(min_value=0, max_value=MAX_SEED, required=False, allow_null=True)
    hyperparameters = HyperparametersBody(required=False, allow_null=True)
    method = MethodBody(required=False, allow_null=True)
    metadata = serializers.DictField(required=False, allow_null=True)
    integrations = serializers.ListField(
        child=serializers.DictField(),
        required=False,
        allow_null=True,
        max_length=0,
        error_messages={"max_length": "Integrations are not available here. Leave this out."},
    )

    def validate_metadata(self, metadata: dict[str, Any] | None) -> dict[str, str]:
        """Return the pairs. Raises ValidationError beyond OpenAI's limits."""
        pairs = metadata or {}
        if len(pairs) > MAX_METADATA:
            raise serializers.ValidationError(f"Must have at most {MAX_METADATA} pairs.")
        for key, value in pairs.items():
            if len(key) > MAX_METADATA_KEY or not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
                raise serializers.ValidationError(
                    f"Keys have at most {MAX_METADATA_KEY} characters; values are strings of at most "
                    f"{MAX_METADATA_VALUE}."
                )
            if not is_storable(key + value):
                raise serializers.ValidationError("Contains a character that can't be stored.")
        return pairs


def read_job(access: Access, body: Mapping[str, Any]) -> JobRequest:
    """Return what a checked body asks for. Raises NotFineTunable, NoSuchFile, BadRequest."""
    if body["model"] not in (BASE, settings.BASE_MODEL):
        raise NotFineTunable(model=body["model"], param="model")
    validation = body.get("validation_file")
    training_file = _find_conversations(access, body["training_file"], param="training_file")
    validation_file = _find_conversations(access, validation, param="validation_file") if validation else None
    asked = _hyperparameters(body)
    given = {name: value for name, value in asked.items() if value != AUTO}
    suffix = body.get("suffix") or ""
    slug = _slug_of(suffix) if suffix else _slug_of(training_file.name.rpartition(".")[0]) or "fine-tuned"
    if not slug:
        raise BadRequest("`suffix` must contain a letter or a digit, such as my-voice.", param="suffix")
    return JobRequest(
        slug=slug,
        name=(suffix or slug.replace("-", " ").capitalize())[: WORDS_CHARACTERS["name"]],
        training_file=training_file,
        validation_file=validation_file,
        seed=body.get("seed"),
        epochs=int(given.pop("n_epochs", MAX_EPOCHS)),
        recipe=given,
        hyperparameters=asked,
        metadata=body.get("metadata") or {},
    )


def _find_conversations(access: Access, written: str, *, param: str) -> File:
    """Return a file that a job can learn from. Raises NoSuchFile, BadRequest for a table of results."""
    file = find_file(access, written, param=param)
    if file.purpose != File.Purpose.FINE_TUNE:
        sentence = f"`{param}` must be a file with the purpose `{File.Purpose.FINE_TUNE}`."
        raise BadRequest(sentence, param=param)
    return file


def _hyperparameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return each hyperparameter as it was asked for: `method` counts before the older field."""
    supervised = (body.get("method") or {}).get("supervised") or {}
    asked = {**(body.get("hyperparameters") or {}), **(supervised.get("hyperparameters") or {})}
    return {
        name: AUTO if asked.get(name) is None else asked[name] for name in HyperparametersBody().get_fields()
    }


def _slug_of(text: str) -> str:
    return SLUG_ENDS.sub("", slugify(text)[:SLUG_CHARACTERS].replace("_", "-"))


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL can store a text: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
