"""API keys. Operators see no digest and revoke a key at once."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin
from django.http import HttpRequest

from core.console import OperatorAdmin, operator_action
from keys.actions import revoke_by_operator
from metering.console import AmountsInDollars
from tenants.console import ReadOnly
from tenants.models import ApiKey


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly, AmountsInDollars, OperatorAdmin):
    list_display = [
        "name",
        "tenant",
        "shown",
        "limits",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    list_filter = ["revoked_at", "is_watermarked"]
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
        effect="Requests with these keys are rejected immediately. A revoked key can't be restored.",
        done="Revoked",
        permissions=["revoke"],
        is_danger=True,
    )
    def revoke(self, request: HttpRequest, key: ApiKey, reason: str) -> None:
        revoke_by_operator(key)
