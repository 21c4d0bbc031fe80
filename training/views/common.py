"""What the pages of trainings share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate
from uuid import UUID

from django import forms
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from adapters.models import SLUG_CHARACTERS, WORDS_CHARACTERS
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires
from training.models import MAX_EPOCHS, Document, Status, Training

# Forms of trainings.


class NameForm(forms.Form):
    """A style's name, and its short name for programs, which is made from the name by default."""

    name = forms.CharField(
        label=_("Name of the style"),
        max_length=WORDS_CHARACTERS["name"],
        widget=forms.TextInput(attrs={"placeholder": _("My voice"), "autocomplete": "off"}),
        error_messages={"required": _("Give the style a name, such as My voice.")},
    )
    slug = forms.CharField(
        label=_("Short name"),
        max_length=SLUG_CHARACTERS,
        required=False,
        widget=forms.TextInput(
            attrs={
                "class": "mono",
                "placeholder": "my-voice",
                "autocapitalize": "none",
                "autocomplete": "off",
                "spellcheck": "false",
            }
        ),
    )

    def clean(self) -> dict[str, Any]:
        """Make the short name from the name if it is missing."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("slug"):
            cleaned["slug"] = slugify(cleaned.get("name", ""))[:SLUG_CHARACTERS].strip("-")
        return cleaned


class NewTrainingForm(NameForm):
    """The names of a style, and the most passes over its texts, which only a link sets."""

    epochs = forms.IntegerField(required=False, min_value=1, max_value=MAX_EPOCHS, widget=forms.HiddenInput)

    def clean_epochs(self) -> int:
        """Return the most passes over the texts."""
        return self.cleaned_data["epochs"] or MAX_EPOCHS


class StartForm(forms.Form):
    """The consent to a training."""

    rights = forms.BooleanField(
        required=False,
        label=_("These texts are mine, or I have the right to train on them."),
    )
    keeps_documents = forms.BooleanField(
        required=False,
        label=_("Keep my texts after the training, until I delete them."),
    )


def has_training(request: HttpRequest) -> dict[str, bool]:
    """Return a variable of every template: whether this service trains styles."""
    return {"has_training": settings.TRAINING}


def name_language(code: str) -> str:
    """Return a language's name in the active language; the code itself where it is not known."""
    if not code:
        return gettext("unclear")
    known = LANG_INFO.get(code, {})
    return gettext(str(known["name"])) if "name" in known else code


type MemberView[**P] = Callable[Concatenate[MemberRequest, P], HttpResponseBase]
type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

CHANGE = Permission.CHANGE_STYLES
STEPS: dict[str, Promise] = {
    "texts": _("Your texts"),
    "review": _("Review your texts"),
    "cost": _("Cost and time"),
    "progress": _("Progress"),
}
# Those of an evaluation: nothing is trained, and it costs nothing.
EVALUATION_STEPS: dict[str, Promise] = {
    "texts": _("Your texts"),
    "review": _("Review your texts"),
    "check": _("Check"),
    "progress": _("Evidence"),
}
# The last step that a training has reached.
REACHED = {Status.DRAFT: "texts", Status.PREPARING: "review", Status.READY: "cost"}


@dataclass(frozen=True)
class PageStep:
    """One of the four steps, as every page shows them; `address` is empty until it is reached."""

    number: int
    label: str
    address: str
    is_current: bool
    is_done: bool


def training_page[**P](view: MemberView[P]) -> View[P]:
    """Return a view that shows a page to members who may change styles; 404 where nothing is trained."""
    return _where_trained(
        require_GET(never_cache(member_required(requires(CHANGE, to_read=CHANGE)(view)))),
    )


def training_form[**P](view: MemberView[P]) -> View[P]:
    """Return a view that takes a form from members who may change styles; 404 where nothing is trained."""
    return _where_trained(require_POST(member_required(requires(CHANGE)(view))))


def training_page_with_form[**P](view: MemberView[P]) -> View[P]:
    """Return a view that shows a page and takes its form; 404 where nothing is trained."""
    return _where_trained(never_cache(member_required(requires(CHANGE, to_read=CHANGE)(view))))


def own_training(request: MemberRequest, training_id: UUID) -> Training:
    """Return one of the workspace's trainings. Raises Http404."""
    trainings = Training.objects.select_related(
        "tenant", "style__owner", "version__style__owner", "evaluated_version__style__owner"
    )
    return get_object_or_404(trainings, pk=training_id, tenant=request.tenant)


def own_document(request: MemberRequest, training_id: UUID, document_id: UUID) -> Document:
    """Return a document of one of the workspace's trainings. Raises Http404."""
    documents = Document.objects.select_related("training__tenant")
    return get_object_or_404(documents, pk=document_id, training=own_training(request, training_id))


def page_of(training: Training, step: str = "") -> str:
    """Return the address of a step of a training, by default of its current step."""
    return reverse(f"training:{step or _reached(training)}", args=[training.pk])


def page_steps(training: Training, current: str) -> list[PageStep]:
    """Return the four steps as a page shows them."""
    labels = EVALUATION_STEPS if training.is_evaluation else STEPS
    names = list(labels)
    reached = names.index(_reached(training))
    steps = []
    for index, name in enumerate(names):
        # Once a training has started, its cost is settled.
        is_open = index <= reached and not (name in ("cost", "check") and reached > index)
        address = page_of(training, name) if is_open else ""
        is_done = index < reached or training.status == Status.SUCCEEDED
        steps.append(PageStep(index + 1, str(labels[name]), address, name == current, is_done))
    return steps


def _reached(training: Training) -> str:
    if training.is_job:  # a program's: it has no other page
        return "progress"
    step = REACHED.get(Status(training.status), "progress")
    return "check" if step == "cost" and training.is_evaluation else step


def _where_trained[**P](view: View[P]) -> View[P]:
    """Return a view that answers 404 where nothing is trained."""

    @wraps(view)
    def found(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not settings.TRAINING:
            raise Http404
        return view(request, *args, **kwargs)

    return found
