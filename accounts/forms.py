"""Forms about people and workspaces."""

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from allauth.account.forms import ChangePasswordForm, LoginForm, ResetPasswordKeyForm, SignupForm
from django import forms
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import adapter, workspaces
from core.names import is_reserved, validate_name
from tenants.models import Membership, User
from tenants.roles import DESCRIPTIONS, Permission, allows

Role = Membership.Role
NEW_PASSWORD = {"password1": _("New password"), "password2": _("New password (again)")}


class SignUpForm(SignupForm):  # type: ignore[misc]
    """A sign-up that takes as long for an address that has an account."""

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponseBase | None]:
        """Return the new account, or the answer where the address has one."""
        if self.account_already_exists:
            make_password(self.cleaned_data["password1"])  # most of the time that a new account takes
        saved: tuple[User | None, HttpResponseBase | None] = super().try_save(request)
        # The invitation that was followed here has confirmed what it can: a later account confirms itself.
        request.session.pop("account_verified_email", None)
        return saved


class LogInForm(LoginForm):  # type: ignore[misc]
    """A login, labelled like all other forms."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _relabel(self, {"remember": _("Remember me")})

    def clean_login(self) -> str:
        """Return the address as accounts have it."""
        return adapter.AccountAdapter().clean_email(super().clean_login())


class PasswordForm(ChangePasswordForm):  # type: ignore[misc]
    """A new password in place of the current one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _relabel(self, {"oldpassword": _("Current password"), **NEW_PASSWORD})


class ResetPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password by a mailed link. An intruder who had the account may know its API keys."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _relabel(self, NEW_PASSWORD)

    def save(self) -> None:
        """Set the password and ask for a review of the keys."""
        super().save()
        adapter.ask_to_review_keys(self.user)


class CreateWorkspaceForm(forms.Form):
    """The name of a new workspace."""

    workspace = forms.CharField(
        max_length=80,
        label=_("Workspace name"),
        help_text=_("Used as a prefix in your styles' names."),
        validators=[validate_name],
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": _("Acme Letters")}),
    )

    def clean_workspace(self) -> str:
        """Refuse a name that reads as Polyscribe itself."""
        name = str(self.cleaned_data["workspace"])
        if is_reserved(name):
            raise forms.ValidationError(workspaces.ReservedName(name=name).message)
        return name


class RoleForm(forms.Form):
    """A role, of those that the person who chooses may give."""

    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, own_role: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = cast(forms.ChoiceField, self.fields["role"])
        field.choices = role_choices(own_role)


class InviteForm(RoleForm):
    """Email address and role of the new member."""

    email = forms.EmailField(
        label=_("Email address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "placeholder": "name@example.org"}),
    )
    field_order = ("email", "role")

    def clean_email(self) -> str:
        """Return the address as accounts have it."""
        return adapter.AccountAdapter().clean_email(self.cleaned_data["email"])


def _relabel(form: forms.Form, labels: Mapping[str, Promise]) -> None:
    """Give fields of allauth's labels in sentence case, and no placeholder that repeats them."""
    for name, label in labels.items():
        field = form.fields[name]
        field.label = str(label)
        field.widget.attrs.pop("placeholder", None)


def role_choices(own_role: str) -> list[tuple[str, str]]:
    """Return the roles that a person with a role may give, each with what it allows."""
    may_make_owners = allows(own_role, Permission.MANAGE_OWNERS)
    given = [role for role in Role if may_make_owners or role != Role.OWNER]
    return [(role.value, f"{role.label}: {DESCRIPTIONS[role]}") for role in given]


WATERMARK_SHOWN = "watermark_shown"
RETENTIONS = [("", _("Not stored")), (1, _("1 day")), (7, _("7 days")), (30, _("30 days"))]


def drop_unshown_watermark(form: forms.Form) -> None:
    """Take the watermark out of what a form was filled in with, unless its box was there.

    Of a box that isn't ticked browsers send nothing, and neither does a page without one.
    """
    if WATERMARK_SHOWN not in form.data:
        form.cleaned_data.pop("is_watermarked", None)


class WorkspaceForm(forms.Form):
    """A workspace's name, and what its members' pages begin with."""

    name = forms.CharField(
        max_length=80,
        label=_("Workspace name"),
        validators=[validate_name],
        help_text=_("The short name used in your styles' names doesn't change."),
    )
    default_style = forms.UUIDField(
        label=_("Default style"),
        required=False,
        widget=forms.Select,
        help_text=_("Write starts with this style."),
    )
    is_watermarked = forms.BooleanField(
        label=_("Watermark generated text"),
        required=False,
        help_text=_("Adds an invisible mark, so that anyone can check that a text was generated here."),
    )

    responses_kept_days = forms.TypedChoiceField(
        label=_("Stored responses"),
        choices=RETENTIONS,
        coerce=int,
        empty_value=None,
        required=False,
        help_text=_(
            "How long we store what is written with the Responses API, so that requests can build on it. If "
            "you choose a shorter time, what is older is deleted."
        ),
    )

    def __init__(self, *args: Any, styles: list[tuple[UUID, str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not settings.RESPONSES_STORE:
            del self.fields["responses_kept_days"]
        if settings.WATERMARK != "on":  # the operator decides
            del self.fields["is_watermarked"]
        named = [(str(style_id), f"{name} ({model})") for style_id, name, model in styles]
        self.style_ids = {style_id for style_id, _, _ in styles}
        select = cast(forms.Select, self.fields["default_style"].widget)
        select.choices = [("", gettext("None")), *named]

    def clean(self) -> dict[str, Any]:
        """Leave alone what was not shown."""
        super().clean()
        drop_unshown_watermark(self)
        if "responses_kept_days" not in self.data:
            self.cleaned_data.pop("responses_kept_days", None)
        return self.cleaned_data

    def clean_default_style(self) -> UUID | None:
        """Refuse a style that the workspace can't use."""
        chosen: UUID | None = self.cleaned_data["default_style"]
        if chosen and chosen not in self.style_ids:
            raise forms.ValidationError(gettext("Choose one of this workspace's styles."))
        return chosen


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What others call a person, and what language the person reads."""

    class Meta:
        model = User
        fields = ["first_name", "last_name", "language"]
        labels = {"language": _("Language")}
        help_texts = {"language": _("If you don't choose one, pages use your browser's language.")}


class ConfirmForm(forms.Form):
    """The proof that a person means it: they type what the label says."""

    mismatch: Promise  # what is said of another text

    def __init__(self, *args: Any, expected: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = expected
        field = self.fields["confirm"]
        field.label = gettext("Type {name} to confirm").format(name=expected)
        field.widget.attrs |= {"autocomplete": "off", "data-must-equal": expected}

    def clean_confirm(self) -> str:
        """Refuse another text."""
        if self.cleaned_data["confirm"].strip() != self.expected:
            raise forms.ValidationError(str(self.mismatch).format(name=self.expected, email=self.expected))
        return self.expected


class DeleteWorkspaceForm(ConfirmForm):
    """The workspace's name."""

    confirm = forms.CharField(label=_("Workspace name"), max_length=80)
    mismatch = _("The name doesn't match. Type {name} to delete it.")


class DeleteAccountForm(ConfirmForm):
    """The address and the password of the person."""

    confirm = forms.CharField(label=_("Your email address"), max_length=254)
    mismatch = _("That's not your email address. Type {email} to continue.")
    password = forms.CharField(
        label=_("Your password"),
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, expected=user.email, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        """Refuse a wrong password."""
        password = str(self.cleaned_data["password"])
        if not self.user.check_password(password):
            raise forms.ValidationError(gettext("Incorrect password."))
        return password
