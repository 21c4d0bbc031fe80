"""Forms about API keys."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from django import forms
from django.conf import settings
from django.forms.models import model_to_dict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.forms import drop_unshown_watermark
from adapters.public import list_style_choices
from core.names import validate_name
from keys.actions import MAX_MONTHLY_TOKENS, MAX_NAME, MAX_PER_MINUTE, KeySettings
from metering.forms import DollarsField
from tenants.models import ApiKey, Scope, Tenant, default_scopes

LIFETIMES_DAYS = (30, 90, 365)
LIFETIMES = [("", _("never")), (30, _("in 30 days")), (90, _("in 90 days")), (365, _("in a year"))]


class CountsForm(forms.Form):
    """What API keys may use at most, in numbers. Empty: only the tenant's own limits apply.

    Fields have the names that a key's have, as have a workspace's defaults and what the actions take.
    """

    monthly_nanousd = DollarsField(label=_("Monthly budget"), required=False)
    monthly_tokens = forms.IntegerField(
        label=_("Tokens per month"), min_value=1, max_value=MAX_MONTHLY_TOKENS, required=False
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), min_value=1, max_value=MAX_PER_MINUTE, required=False
    )
    tokens_per_minute = forms.IntegerField(
        label=_("Tokens per minute"), min_value=1, max_value=MAX_PER_MINUTE, required=False
    )
    parallel_requests = forms.IntegerField(
        label=_("Concurrent requests"), min_value=1, max_value=MAX_PER_MINUTE, required=False
    )

    @property
    def counts(self) -> list[forms.BoundField]:
        """The fields that count something."""
        return [self[name] for name in CountsForm.base_fields if name != "monthly_nanousd"]

    def chosen(self) -> KeySettings:
        """Return what a person chose of a key's settings; an empty field is a choice, too."""
        names = KeySettings.__optional_keys__
        chosen = {name: value for name, value in self.cleaned_data.items() if name in names}
        return cast("KeySettings", chosen)


class LifetimeField(forms.TypedChoiceField):
    """After how many days a key ends; None for never."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=LIFETIMES, coerce=int, empty_value=None, required=False, **options)


class NewKeysForm(CountsForm):
    """What new keys of a workspace start with."""

    lifetime_days = LifetimeField(label=_("Expiration"))

    def __init__(self, data: Any = None, *, tenant: Tenant) -> None:
        initial = {**(tenant.key_limits or {}), "lifetime_days": tenant.key_lifetime_days}
        super().__init__(data, initial=initial)


class LimitsForm(CountsForm):
    """What one API key may use at most, and in which styles."""

    styles = forms.TypedMultipleChoiceField(
        label=_("Styles"),
        coerce=UUID,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": _("Choose from the styles below.")},
    )
    is_watermarked = forms.BooleanField(
        label=_("Watermark generated text"),
        required=False,
        initial=True,
        help_text=_("Turn this off for text that only programs read."),
    )

    def __init__(self, data: Any = None, *, tenant: Tenant, key: ApiKey | None = None) -> None:
        super().__init__(data, initial=model_to_dict(key, LimitsForm.base_fields) if key else None)
        self.key = key
        if settings.WATERMARK != "on" or not tenant.is_watermarked:  # nothing to turn off
            del self.fields["is_watermarked"]
        widget = self.fields["styles"].widget
        chosen = widget.value_from_datadict(data, {}, "styles") if data else None
        self.fields["styles"].choices = _style_choices(tenant, key, chosen or ())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Leave the watermark alone where it was not shown."""
        super().clean()
        drop_unshown_watermark(self)
        return self.cleaned_data

    @property
    def has_limits(self) -> bool:
        """True when a person filled a limit in, rightly or wrongly."""
        names = [*CountsForm.base_fields, "styles"]
        return any(self[name].value() or self[name].errors for name in names)


class KeyForm(LimitsForm):
    """A new API key."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        validators=[validate_name],
        help_text=_("What the key is for."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "newsletter"}),
    )
    lifetime_days = LifetimeField(
        label=_("Expires"),
        help_text=_("The key stops working on this date. You can change the default in Settings."),
    )
    scopes = forms.MultipleChoiceField(
        label=_("Permissions"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(
        self, data: Any = None, *, tenant: Tenant, scopes: Sequence[Scope] = (Scope.INFERENCE,)
    ) -> None:
        super().__init__(data, tenant=tenant)
        self.initial.update(tenant.key_limits or {})
        self.initial.update(lifetime_days=tenant.key_lifetime_days, scopes=default_scopes())
        self.fields["scopes"].choices = _scope_choices(scopes)  # type: ignore[attr-defined]

    def clean_scopes(self) -> list[str]:
        """Ask for one scope at least: a key that may do nothing is of no use."""
        scopes = self.cleaned_data["scopes"]
        if not scopes:
            raise forms.ValidationError(gettext("Choose at least one permission."))
        return list(scopes)

    def chosen(self) -> KeySettings:
        """Return what a person chose of a key's settings, with the moment at which it ends."""
        days = self.cleaned_data["lifetime_days"]
        expires_at = timezone.now() + timedelta(days=days) if days else None
        return {**super().chosen(), "expires_at": expires_at}


class RotateForm(forms.Form):
    """How long the old secret of a key works on beside the new one."""

    old_secret_hours = forms.TypedChoiceField(
        label=_("Keep the old secret valid for"),
        choices=[
            ("0", _("no time (revoke it now)")),
            ("1", _("1 hour")),
            ("24", _("1 day")),
            ("168", _("1 week")),
        ],
        coerce=int,
        initial="24",
    )

    def old_lives(self) -> timedelta:
        """Return how long both secrets work."""
        return timedelta(hours=self.cleaned_data["old_secret_hours"])


def _scope_choices(scopes: Iterable[Scope]) -> list[tuple[str, str]]:
    """Return what the form offers: each scope in words, and as programs write it."""
    choices: list[tuple[str, str]] = []
    for scope in scopes:
        label = format_html('{} <span class="mono soft">{}</span>', scope.label, scope.value)
        choices.append((scope.value, label))
    return choices


def _style_choices(tenant: Tenant, key: ApiKey | None, chosen: Iterable[str]) -> list[tuple[str, str]]:
    """Return what the form offers: the first of the tenant's styles, those that were `chosen`, and the key's.

    Among the key's may be some that are no longer theirs.
    """
    limited_to = set(key.styles or []) if key else set()
    besides = limited_to | _read_uuids(chosen)
    choices: list[tuple[str, str]] = []
    for style_id, name, model_name in list_style_choices(tenant, besides=besides):
        label = format_html('{} <span class="mono soft">{}</span>', name, model_name)
        choices.append((str(style_id), label))
    offered = {offered_id for offered_id, _ in choices}
    for kept_id in sorted(map(str, limited_to)):
        # A style that went away must keep its tick. Without it, saving another limit would drop the style
        # from the key, and a key that lost its last style may use every style.
        if kept_id not in offered:
            choices.append((kept_id, gettext("a style you no longer use")))
    return choices


def _read_uuids(written: Iterable[str]) -> set[UUID]:
    """Return the ids among what was sent; a field's own check names what is none."""
    found = set()
    for one in written:
        with suppress(ValueError):
            found.add(UUID(one))
    return found
