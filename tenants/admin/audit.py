"""The audit log, to read."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin
from unfold.admin import ModelAdmin

from tenants.admin.permissions import ReadOnly
from tenants.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, ModelAdmin):
    list_display = ["at", "actor", "action", "object_name", "object_type", "reason"]
    list_filter = ["action", "object_type"]
    list_select_related = ["actor"]
    search_fields = ["actor__email", "object_name", "=object_id", "reason"]
    ordering = ["-at"]
    show_full_result_count = False
