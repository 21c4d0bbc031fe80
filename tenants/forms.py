"""What people fill in."""

from datetime import datetime, timedelta

from django import forms
from django.http import HttpRequest
from django.utils import timezone

from tenants import members
from tenants.models import ApiKey, Tenant, User


class SignupForm(forms.Form):
    """What sign-up asks besides address and password. allauth builds its own form upon it."""

    workspace = forms.CharField(
        max_length=80,
        label="Studio's name",
        help_text="Yours or your team's. It goes before the names of your own styles.",
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "Acme Letters"}),
    )
    field_order = ["workspace", "email", "password1"]

    def signup(self, request: HttpRequest, user: User) -> None:
        """Found the new user's tenant. allauth calls this once the user is saved."""
        members.found_tenant(user, name=self.cleaned_data["workspace"])


class FoundForm(forms.Form):
    """Asks who has no tenant for a name of one."""

    workspace = forms.CharField(max_length=80, label="Studio's name", help_text="Yours or your team's.")


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        max_length=60,
        help_text="What will use it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "newsletter"}),
    )
    lifetime_days = forms.TypedChoiceField(
        label="Ends",
        choices=[("", "never"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year")],
        coerce=int,
        empty_value=None,
        required=False,
    )
    monthly_tokens = forms.IntegerField(
        label="Tokens a month", min_value=1, max_value=10**15, required=False, help_text="Empty: the plan's."
    )

    def __init__(self, data: object = None, *, tenant: Tenant) -> None:
        super().__init__(data)  # type: ignore[arg-type]
        self.tenant = tenant

    def clean_name(self) -> str:
        """Refuse the name of a key in use: keys are told apart, and revoked, by their names."""
        name = str(self.cleaned_data["name"])
        if ApiKey.objects.shown().live(timezone.now()).filter(tenant=self.tenant, name=name).exists():
            raise forms.ValidationError(f"There is a key named “{name}” already; give this one another name.")
        return name

    def expires_at(self) -> datetime | None:
        """Return when the key is to end, or None for never."""
        days = self.cleaned_data["lifetime_days"]
        return timezone.now() + timedelta(days=days) if days else None
