"""Operators' view of tenants, in the console. What is immutable or booked can only be read."""

# mypy: disallow-subclassing-any=False
# (unfold has no types)

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Field, Model
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import UserCreationForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget

from foundation.console import OperatorAdmin, OperatorForm, ReasonField, operator_action
from foundation.errors import Invalid
from foundation.money import usd
from tenants.accounts import workspaces
from tenants.api_keys import lifecycle
from tenants.console_lists import EngineFilter, LongList, PeriodFilter
from tenants.forms import DollarsField
from tenants.models import (
    ApiKey,
    AuditEntry,
    LedgerEntry,
    Membership,
    Plan,
    PlanVersion,
    Price,
    PriceBook,
    Subscription,
    Tenant,
    UsageDaily,
    UsageEvent,
    User,
)
from tenants.quota_sync import generations, snapshot


class Lasting:
    """Rows that stay."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Immutable(Lasting):
    """Rows that are added and never edited."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnly(Immutable):
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class InDollars:
    """Operators write and read a budget in dollars."""

    def formfield_for_dbfield(self, db_field: "Field[Any, Any]", request: HttpRequest, **options: Any) -> Any:
        if db_field.name != "monthly_nanousd":
            return super().formfield_for_dbfield(db_field, request, **options)  # type: ignore[misc]
        return DollarsField(
            label="Budget a month, in $",
            required=False,
            help_text=db_field.help_text,
            widget=UnfoldAdminDecimalFieldWidget,
        )

    @admin.display(description="budget a month")
    def budget(self, row: Tenant | PlanVersion | ApiKey) -> str:
        return "none" if row.monthly_nanousd is None else usd(row.monthly_nanousd)


class MembershipInline(TabularInline):
    model = Membership
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Tenant)
class TenantAdmin(Lasting, InDollars, OperatorAdmin):
    list_display = ["name", "slug", "budget", "is_first_party", "suspended_at", "created_at"]
    list_filter = ["suspended_at", "is_first_party"]
    search_fields = ["name", "slug", "memberships__user__email"]
    fields = ["name", "slug", "monthly_nanousd", "is_first_party", "suspended_at", "created_at"]
    readonly_fields = ["slug", "is_first_party", "suspended_at", "created_at"]
    inlines = [MembershipInline]
    actions = ["suspend", "resume"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # tenants are founded, with a plan and a studio key

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        # Only what was changed: the whole row would set back what the gate counts meanwhile.
        obj.save(update_fields=form.changed_data)
        snapshot.mark_changed(obj.pk)

    @operator_action(
        "Suspend",
        effect="From the next request on nothing is served to them. Their data stays.",
        done="Suspended",
        permissions=["change"],
    )
    def suspend(self, request: HttpRequest, tenant: Tenant, reason: str) -> None:
        workspaces.suspend_tenant(tenant)

    @operator_action(
        "Resume",
        effect="They are served again from the next request on.",
        done="Resumed",
        permissions=["change"],
    )
    def resume(self, request: HttpRequest, tenant: Tenant, reason: str) -> None:
        workspaces.resume_tenant(tenant)


class NewUserForm(UserCreationForm):
    why = ReasonField()

    class Meta:
        model = User
        fields = ["email"]


RIGHTS = ["is_staff", "is_superuser", "groups", "user_permissions"]


@admin.register(User)
class UserAdmin(Lasting, OperatorAdmin, DjangoUserAdmin):  # type: ignore[type-arg]
    """People. Who may do what is given by superusers; address and password are a person's own."""

    form = OperatorForm
    add_form = NewUserForm
    list_display = ["email", "is_staff", "is_active", "last_login", "date_joined"]
    list_filter = ["is_staff", "is_superuser", "is_active"]
    search_fields = ["email", "first_name", "last_name"]
    ordering = ["email"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "first_name", "last_name"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        ("Dates", {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Return what only its owner (the address) or only a superuser (the rights) changes, too."""
        own = ["email"] if obj else []
        rights = [] if request.user.is_superuser else RIGHTS
        return [*self.readonly_fields, *own, *rights]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Let only superusers change operators."""
        is_operator = isinstance(obj, User) and (obj.is_staff or obj.is_superuser)
        return super().has_change_permission(request, obj) and (request.user.is_superuser or not is_operator)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Refuse: a person resets a password by mail, so that nobody else knows it."""
        raise PermissionDenied("Passwords are reset by mail: send the person to “Reset your password”.")


class OnlySuperusers(Lasting):
    """Rows that give rights or take a second factor away."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_superuser


# Django's and allauth's own pages would change rights, addresses and second factors without a word of why.
for model in (Group, EmailAddress, Authenticator):
    admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(OnlySuperusers, OperatorAdmin):
    search_fields = ["name"]
    filter_horizontal = ["permissions"]


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnly, ModelAdmin):
    list_display = ["email", "user", "primary", "verified"]
    list_filter = ["primary", "verified"]
    list_select_related = ["user"]
    search_fields = ["email", "user__email"]


@admin.register(Authenticator)
class AuthenticatorAdmin(OnlySuperusers, OperatorAdmin):
    list_display = ["user", "type", "created_at", "last_used_at"]
    list_filter = ["type"]
    list_select_related = ["user"]
    search_fields = ["user__email"]
    fields = ["user", "type", "created_at", "last_used_at"]
    readonly_fields = fields
    actions = ["remove"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @operator_action(
        "Remove a lost second factor",
        effect="The account is open to whoever knows its password until its owner sets up another one. "
        "Be sure that it was really the owner who asked.",
        done="Removed",
        permissions=["view"],
    )
    def remove(self, request: HttpRequest, authenticator: Authenticator, reason: str) -> None:
        authenticator.delete()


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ["at", "actor", "action", "object_name", "object_type", "reason"]
    list_filter = ["action", "object_type"]
    list_select_related = ["actor"]
    search_fields = ["actor__email", "object_name", "=object_id", "reason"]
    ordering = ["-at"]
    show_full_result_count = False


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, InDollars, OperatorAdmin):
    list_display = [
        "name", "tenant", "shown", "limits", "created_at", "last_used_at", "expires_at", "revoked_at",
    ]  # fmt: skip
    list_filter = ["revoked_at"]
    list_select_related = ["tenant"]
    search_fields = ["name", "tenant__name", "tenant__slug", "last4"]
    exclude = ["digest", "monthly_nanousd"]
    readonly_fields = ["budget"]
    actions = ["revoke"]

    @admin.display(description="key")
    def shown(self, key: ApiKey) -> str:
        return f"{key.prefix}…{key.last4}" if key.digest else "none"

    @admin.display(description="limits")
    def limits(self, key: ApiKey) -> str:
        return ", ".join(key.own_limits)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tenants.change_apikey")

    @operator_action(
        "Revoke",
        effect="From the next request on they open nothing. A revoked key can't be brought back.",
        done="Revoked",
        permissions=["revoke"],
    )
    def revoke(self, request: HttpRequest, key: ApiKey, reason: str) -> None:
        if key.digest is None:
            raise Invalid("This is the playground's own key: suspend the workspace instead.")
        lifecycle.revoke_key(key)


@admin.register(Plan)
class PlanAdmin(Lasting, OperatorAdmin):
    list_display = ["code", "name"]
    search_fields = ["code", "name"]


@admin.register(PlanVersion)
class PlanVersionAdmin(Immutable, InDollars, OperatorAdmin):
    list_display = [
        "plan", "number", "fee", "weight", "monthly_tokens", "budget", "requests_per_minute",
        "tokens_per_minute",
    ]  # fmt: skip
    list_filter = ["plan"]
    list_select_related = ["plan"]
    search_fields = ["plan__code", "plan__name"]

    @admin.display(description="fee a month")
    def fee(self, version: PlanVersion) -> str:
        return usd(version.monthly_fee_nanousd)


@admin.register(PriceBook)
class PriceBookAdmin(Immutable, OperatorAdmin):
    list_display = ["effective_from"]
    search_fields = ["effective_from"]


@admin.register(Price)
class PriceAdmin(Immutable, OperatorAdmin):
    list_display = ["book", "style", "input_nanousd", "cached_input_nanousd", "output_nanousd"]
    list_select_related = ["book"]

    def save_model(self, request: HttpRequest, obj: Price, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        generations.bump_all_generations()


@admin.register(Subscription)
class SubscriptionAdmin(Immutable, OperatorAdmin):
    list_display = ["tenant", "plan_version", "starts_at", "ends_at"]
    list_select_related = ["tenant", "plan_version__plan"]
    search_fields = ["tenant__name", "tenant__slug"]
    autocomplete_fields = ["tenant", "plan_version"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        """Ask only for tenant and plan when adding: a new subscription begins now and ends the one before."""
        return ["tenant", "plan_version", *(["starts_at", "ends_at"] if obj else [])]

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        saved = workspaces.subscribe_tenant(obj.tenant, obj.plan_version)
        obj.pk, obj.starts_at = saved.pk, saved.starts_at


@admin.register(UsageEvent)
class UsageEventAdmin(LongList, ReadOnly, ModelAdmin):
    list_display = [
        "request_id", "tenant", "style_name", "version_number", "prompt_tokens", "completion_tokens",
        "outcome", "cost", "admitted_at",
    ]  # fmt: skip
    list_filter = ["outcome", PeriodFilter, EngineFilter]
    list_select_related = ["tenant"]
    search_fields = ["request_id", "tenant__slug"]
    ordering = ["-admitted_at", "-pk"]

    @admin.display(description="cost")
    def cost(self, event: UsageEvent) -> str:
        return usd(event.cost_nanousd)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(LongList, ReadOnly, ModelAdmin):
    list_display = ["created_at", "tenant", "kind", "amount", "tokens", "period", "source_id", "reason"]
    list_filter = ["kind", PeriodFilter]
    list_select_related = ["tenant"]
    search_fields = ["source_id", "tenant__slug"]
    ordering = ["-pk"]
    searched_id = "source_id"

    def more_of_its_index(self) -> dict[str, Any]:
        return {"kind__in": LedgerEntry.Kind.values}

    @admin.display(description="amount")
    def amount(self, entry: LedgerEntry) -> str:
        return usd(entry.amount_nanousd)


@admin.register(UsageDaily)
class UsageDailyAdmin(LongList, ReadOnly, ModelAdmin):
    list_display = [
        "day", "tenant", "key", "style_name", "requests", "prompt_tokens", "completion_tokens", "cost",
    ]  # fmt: skip
    list_filter = ["day"]
    list_select_related = ["tenant", "key"]
    search_fields = ["style_name", "tenant__slug"]
    ordering = ["-day", "-pk"]
    searched_id = "style_name"

    @admin.display(description="cost")
    def cost(self, row: UsageDaily) -> str:
        return usd(row.cost_nanousd)
