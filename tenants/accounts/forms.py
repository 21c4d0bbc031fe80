"""Forms about people and workspaces."""

from allauth.account.forms import ResetPasswordKeyForm
from django import forms

from foundation.names import is_reserved, validate_name
from tenants.accounts import adapter, workspaces


class ResetPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    """A new password by a mailed link. Whoever had the account before may know its API keys."""

    def save(self) -> None:
        """Set the password and ask for a review of the keys."""
        super().save()
        adapter.ask_to_review_keys(self.user)


class CreateWorkspaceForm(forms.Form):
    """The name of a new workspace, for a person who has none."""

    workspace = forms.CharField(
        max_length=80,
        label="Workspace name",
        help_text="Yours or your team's. It goes before the names of your own styles.",
        validators=[validate_name],
        widget=forms.TextInput(attrs={"autocomplete": "organization", "placeholder": "Acme Letters"}),
    )

    def clean_workspace(self) -> str:
        """Refuse a name that reads as Polyscribe itself."""
        name = str(self.cleaned_data["workspace"])
        if is_reserved(name):
            raise forms.ValidationError(workspaces.ReservedName(name=name).message)
        return name
