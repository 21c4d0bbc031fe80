"""Workspaces, people, and what gives people rights."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any
from uuid import UUID

from allauth.account.models import EmailAddress
from allauth.mfa.base.internal.flows import delete_dangling_recovery_codes
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.admin import TabularInline
from unfold.forms import UserCreationForm

from accounts import deletion, workspace_page, workspaces
from core.console import (
    Confirmation,
    DescribedRow,
    ListAdmin,
    OperatorAdmin,
    OperatorForm,
    ReasonField,
    ask_first,
    mark,
    operator_action,
)
from metering.console import AmountsInDollars
from metering.quota_sync import snapshot
from tenants import current
from tenants.console import NoDelete, ReadOnly, SuperusersOnly
from tenants.models import Membership, Tenant, User
from tenants.persons import keep_former_members

RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]
IMPERSONATE = Confirmation(
    title="View as owner",
    effect="For 30 minutes, this browser shows you the workspace's pages, with a banner. You can't "
    "change anything, and secrets are hidden. The audit log records the start and the end.",
    done="",
)


class StateFilter(admin.SimpleListFilter):
    """Workspaces by whether they are served, and those with changes that gateways don't have yet."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        states = [("open", "not deleted"), ("suspended", "suspended"), ("deleted", "deleted")]
        return [*states, ("stale", "changes to publish")]

    def queryset(self, request: HttpRequest, rows: QuerySet[Tenant]) -> QuerySet[Tenant]:
        match self.value():
            case "open":
                return rows.filter(deleted_at=None)
            case "suspended":
                return rows.filter(deleted_at=None).exclude(suspended_at=None)
            case "deleted":
                return rows.exclude(deleted_at=None)
            case "stale":
                return rows.filter(pk__in=Tenant.objects.stale().values("pk"))
        return rows


class MembershipInline(TabularInline):
    model = Membership
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Tenant)
class TenantAdmin(NoDelete, AmountsInDollars, DescribedRow, OperatorAdmin):
    list_display = ["name", "slug", "state", "budget", "is_first_party", "created_at"]
    list_filter = [StateFilter, "is_first_party", "is_watermarked"]
    search_fields = ["name", "slug", "memberships__user__email"]
    fields = ["name", "slug", "monthly_nanousd", "unpaid_cap_nanousd", "is_first_party", "created_at"]
    readonly_fields = ["slug", "is_first_party", "created_at"]
    inlines = [MembershipInline]
    actions = ["suspend", "resume", "erase"]
    change_form_outer_before_template = "admin/workspace.html"  # beside the form: it has one of its own
    described_as = "workspace"

    @admin.display(description="state", ordering="suspended_at")
    def state(self, tenant: Tenant) -> SafeString:
        """Return whether it is served. Neither a suspended nor a deleted workspace is a fault."""
        return mark("Deleted" if tenant.deleted_at else "Suspended" if tenant.suspended_at else "Active")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: only `create_tenant` gives a workspace its plan and its studio key."""
        return False

    def describe_row(self, request: HttpRequest, row: Tenant) -> object:
        return workspace_page.describe_workspace(request, row)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses that begin and end an impersonation."""
        begin = self.admin_site.admin_view(self.impersonate)
        end = self.admin_site.admin_view(require_POST(self.end_impersonation))
        urls: list[URLPattern] = super().get_urls()
        return [
            path("end-impersonation/", end, name="tenants_tenant_end_impersonation"),
            path("<uuid:tenant_id>/impersonate/", begin, name="tenants_tenant_impersonate"),
            *urls,
        ]

    def impersonate(self, request: HttpRequest, tenant_id: UUID) -> HttpResponse:
        """Ask why, then open the workspace to read. Raises Http404 and PermissionDenied."""
        tenant = get_object_or_404(Tenant, pk=tenant_id, deleted_at=None)
        if not request.user.has_perm(current.PERMISSION):
            raise PermissionDenied
        form = IMPERSONATE.form(request, [tenant])
        if not form.is_valid():
            return ask_first(
                self.admin_site, request, page=IMPERSONATE, form=form, rows=[tenant], action="impersonate"
            )
        with transaction.atomic():
            current.end_impersonation(request, reason="Another session was started.")
            begun = current.begin_impersonation(request, tenant)
            facts = {"until": begun.until.isoformat()}
            reason = form.cleaned_data["why"]
            self.admin_site.record(
                request, action="impersonation.begun", row=tenant, reason=reason, after=facts
            )
        return redirect("member_home")

    def end_impersonation(self, request: HttpRequest) -> HttpResponse:
        """End the impersonation, and go back to the page of its workspace."""
        tenant = current.end_impersonation(request)
        if tenant is None:
            return redirect("admin:index")
        return redirect("admin:tenants_tenant_change", tenant.pk)

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        """Save what the operator changed, and publish it to the data plane."""
        # Saving the whole row would set a generation back that another action counted up meanwhile.
        obj.save(update_fields=form.changed_data)
        snapshot.mark_changed(obj.pk)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Save members, and note who is taken out: authors' shares of this month ask."""
        gone = [row.instance.pk for row in formset.deleted_forms]
        keep_former_members(Membership.objects.filter(pk__in=gone))
        super().save_formset(request, form, formset, change)

    @operator_action(
        "Suspend",
        effect="All their requests are refused immediately. Their data is kept.",
        done="Suspended",
        permissions=["change"],
        reader="; shown to the workspace's members on their pages and in an email",
        is_danger=True,
    )
    def suspend(self, request: HttpRequest, tenant: Tenant, reason: str) -> None:
        workspaces.suspend_tenant(tenant, reason=reason)

    @operator_action(
        "Lift suspension",
        effect="Their requests are accepted again immediately.",
        done="Suspension lifted",
        permissions=["change"],
    )
    def resume(self, request: HttpRequest, tenant: Tenant, reason: str) -> None:
        workspaces.resume_tenant(tenant)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.delete_tenant")

    @operator_action(
        "Delete and erase styles",
        effect="This can't be undone. All keys, pages and invitations stop working immediately. The "
        "workspace's styles are erased everywhere, with a proof of each step, which its owners "
        "can read for 30 days and you can see on its page here. Invoices, the ledger and the "
        "audit log are kept.",
        done="Deleted; erasure started",
        permissions=["erase"],
        types_name=True,
        is_danger=True,
    )
    def erase(self, request: HttpRequest, tenant: Tenant, reason: str) -> None:
        deletion.delete_by_operator(tenant)


class NewUserForm(UserCreationForm):
    why = ReasonField()

    class Meta:
        model = User
        fields = ["email"]


@admin.register(User)
class UserAdmin(NoDelete, OperatorAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """People. Superusers give rights; only a person changes their own address and password."""

    form = OperatorForm
    add_form = NewUserForm
    list_display = ["email", "is_staff", "is_active", "last_login", "date_joined"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    search_fields = ["email", "first_name", "last_name"]
    ordering = ["email"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "first_name", "last_name"]}),
        ("Rights", {"fields": ["is_active", *RIGHTS]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return also what this operator can't change: the address, and without full rights the rights."""
        readonly = list(self.readonly_fields)
        if obj:
            readonly.append("email")
        if not request.user.is_superuser:
            readonly += RIGHTS
        return readonly

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let only superusers change operators."""
        is_operator = isinstance(obj, User) and (obj.is_staff or obj.is_superuser)
        if is_operator and not request.user.is_superuser:
            return False
        return bool(super().has_change_permission(request, obj))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Refuse: a person resets a password by mail, so that nobody else knows it."""
        raise PermissionDenied("Passwords are reset by email: ask the person to use “Reset your password”.")


# Django's and allauth's own pages would change rights, addresses and second factors without a reason.
for model in (Group, EmailAddress, Authenticator, UserSession):
    admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(SuperusersOnly, OperatorAdmin):
    search_fields = ["name"]
    filter_horizontal = ["permissions"]


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnly, ListAdmin):
    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email", "user__email"]


@admin.register(Authenticator)
class AuthenticatorAdmin(SuperusersOnly, OperatorAdmin):
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    fields = ["user", "type", "created_at", "last_used_at"]
    readonly_fields = fields
    actions = ["remove"]

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @operator_action(
        "Remove a lost second factor",
        effect="Until the owner sets up a new second factor, the account is protected by its password "
        "only. Make sure the request really came from the owner.",
        done="Removed",
        permissions=["view"],
        is_danger=True,
    )
    def remove(self, request: HttpRequest, authenticator: Authenticator, reason: str) -> None:
        authenticator.delete()
        # Recovery codes alone would open the console, and a new app would keep the old ones.
        delete_dangling_recovery_codes(authenticator.user)
