"""Forms about webhooks."""

from django import forms
from django.forms.boundfield import BoundWidget
from django.utils.functional import Promise, lazy
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.names import validate_text
from events.models import EventType
from events.models.events import MAX_URL_LENGTH
from events.webhooks.endpoints import NOT_CHOSEN


def _describe(event_type: EventType) -> str:
    """Return what happens, with the event's name beside it, in the reader's language."""
    return format_html('{} <span class="mono soft">{}</span>', event_type.heading, event_type.value)


# Which events belong together, by what stands before the dot of their names.
GROUPS = (
    (_("Styles"), {"version", "release", "canary", "style", "erasure"}),
    (_("Trainings and checks"), {"training", "evaluation"}),
    (_("API keys"), {"key"}),
    (_("Usage and billing"), {"usage", "credit", "invoice", "credit_note", "plan", "payment"}),
    (_("Workspace"), {"workspace", "webhook"}),
)


class EndpointForm(forms.Form):
    """Where a workspace wants its events, and which. What an address may be is the action's to say."""

    url = forms.CharField(
        max_length=MAX_URL_LENGTH,
        label=_("Address"),
        help_text=_("A public https URL."),
        widget=forms.URLInput(attrs={"autocomplete": "off", "placeholder": "https://example.com/webhooks"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=200,
        required=False,
        validators=[validate_text],
        help_text=_("What the endpoint is for."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": _("Posts to our chat")}),
    )
    event_types = forms.MultipleChoiceField(
        label=_("Events"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[
            (event_type.value, lazy(_describe, str)(event_type))
            for event_type in EventType
            if event_type not in NOT_CHOSEN
        ],
        error_messages={"invalid_choice": _("Choose from the events below.")},
    )

    def groups(self) -> list[tuple[Promise, list[BoundWidget]]]:
        """Return title and checkboxes of each group of events."""
        boxes = list(self["event_types"])
        groups: list[tuple[Promise, list[BoundWidget]]] = []
        for title, prefixes in GROUPS:
            members = [box for box in boxes if str(box.data["value"]).partition(".")[0] in prefixes]
            groups.append((title, members))
        return groups
