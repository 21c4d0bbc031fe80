"""What people fill in."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from allauth.account.forms import ResetPasswordKeyForm
from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.html import format_html
from django.utils.module_loading import import_string

from foundation.money import NANO, usd
from foundation.names import is_reserved, validate_name
from tenants.accounts import adapter, workspaces
from tenants.api_keys.lifecycle import KeyLimits
from tenants.models import ApiKey, Tenant

# Valkey's Lua counts exactly up to 2⁵³ only: so many nano-USD, so many tokens.
MOST_USD, MOST_TOKENS = 9_000_000, 10**15


class ResetPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password by a mailed link: whoever had the account before may hold its API keys."""

    def save(self) -> None:
        """Set the password and ask for a review of the keys."""
        super().save()
        adapter.ask_to_review_keys(self.user)


class CreateTenantForm(forms.Form):
    """Asks who has no tenant for a name of one."""

    workspace = forms.CharField(
        max_length=80,
        label="Workspace name",
        help_text="Yours or your team's. It goes before the names of your own styles.",
        validators=[validate_name],
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "Acme Letters"}),
    )

    def clean_workspace(self) -> str:
        """Refuse what reads as Polyscribe itself."""
        name = str(self.cleaned_data["workspace"])
        if is_reserved(name):
            raise forms.ValidationError(workspaces.ReservedName(name=name).message)
        return name


class DollarsField(forms.DecimalField):
    """An amount that people write in dollars and Python reads in integer nano-USD."""

    default_error_messages = {
        "invalid": "Write the amount in dollars, for example 25 or 12.50.",
        "min_value": "A budget is more than $0. Leave it empty for no budget.",
        "max_value": f"A budget is at most ${MOST_USD:,}.",
        "max_decimal_places": "An amount has at most nine digits after the point.",
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(min_value=Decimal(1) / NANO, max_value=MOST_USD, decimal_places=9, **options)
        self.widget.attrs |= {"step": "any", "min": 0, "inputmode": "decimal"}

    def clean(self, value: Any) -> int | None:
        """Return the exact amount in nano-USD."""
        dollars = super().clean(value)
        return None if dollars is None else int(dollars * NANO)

    def prepare_value(self, value: Any) -> Any:
        """Return what the field shows: a known amount in dollars, and what was typed as it is."""
        return usd(value).strip("$").replace(",", "") if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether another amount was written."""
        return super().has_changed(None if initial is None else Decimal(initial) / NANO, data)


class BudgetForm(forms.Form):
    """A tenant's own budget."""

    budget = DollarsField(
        label="Budget a month",
        required=False,
        help_text="A request that could pass it is refused. Empty: no budget.",
    )


class LimitsForm(forms.Form):
    """What one API key may use at most. Empty: only the tenant's own limits bound it."""

    budget = DollarsField(label="Budget a month", required=False)
    monthly_tokens = forms.IntegerField(
        label="Tokens a month", min_value=1, max_value=MOST_TOKENS, required=False
    )
    requests_per_minute = forms.IntegerField(
        label="Requests a minute", min_value=1, max_value=10**9, required=False
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens a minute", min_value=1, max_value=10**9, required=False
    )
    parallel_requests = forms.IntegerField(
        label="Requests in parallel", min_value=1, max_value=10**9, required=False
    )
    styles = forms.TypedMultipleChoiceField(
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "Choose among the styles below: another one was sent."},
    )

    def __init__(self, data: Any = None, *, tenant: Tenant, key: ApiKey | None = None) -> None:
        super().__init__(data, initial=_limits_of(key) if key else None)
        self.tenant = tenant
        known = [(str(pk), _style(name, model)) for pk, name, model in _styles_of(tenant)]
        # Else saving another limit would drop a style that went away, and the last one gone frees the key.
        kept = {str(pk) for pk in (key.styles if key else None) or []} - {pk for pk, _ in known}
        gone = [(pk, "a style that you no longer use") for pk in sorted(kept)]
        self.fields["styles"].choices = known + gone  # type: ignore[attr-defined]

    @property
    def counts(self) -> list[forms.BoundField]:
        """The fields that count something."""
        return [self[name] for name in LimitsForm.base_fields if name not in ("budget", "styles")]

    @property
    def has_limits(self) -> bool:
        """True when a limit is filled in or wrongly filled in."""
        return any(self[name].value() or self[name].errors for name in LimitsForm.base_fields)

    def limits(self) -> KeyLimits:
        """Return what was filled in."""
        given = self.cleaned_data
        return KeyLimits(
            styles=given["styles"],
            monthly_tokens=given["monthly_tokens"],
            monthly_nanousd=given["budget"],
            requests_per_minute=given["requests_per_minute"],
            tokens_per_minute=given["tokens_per_minute"],
            parallel_requests=given["parallel_requests"],
        )


class KeyForm(LimitsForm):
    """A new API key."""

    name = forms.CharField(
        max_length=60,
        validators=[validate_name],
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


def _limits_of(key: ApiKey) -> dict[str, Any]:
    values = {name: getattr(key, name) for name in LimitsForm.base_fields if name != "budget"}
    return values | {"budget": key.monthly_nanousd}


def _styles_of(tenant: Tenant) -> list[tuple[UUID, str, str]]:
    return list(import_string(settings.STYLE_CHOICES)(tenant))


def _style(name: str, model_name: str) -> str:
    return format_html('{} <span class="mono soft">{}</span>', name, model_name)
