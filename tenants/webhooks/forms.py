"""Forms about webhooks."""

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.names import validate_text
from tenants.accounts.forms import FailureForm
from tenants.models import EventType
from tenants.models.events import MAX_URL_LENGTH
from tenants.webhooks.endpoints import NOT_CHOSEN


class EndpointForm(FailureForm):
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
            (event_type.value, format_html('<span class="mono">{}</span>', event_type.value))
            for event_type in EventType
            if event_type not in NOT_CHOSEN
        ],
        error_messages={"invalid_choice": _("Choose from the events below.")},
    )
