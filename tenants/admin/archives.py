"""Archived months of usage events: where each file is, to read. `manage.py archive_usage` makes them."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin
from unfold.admin import ModelAdmin

from foundation.money import usd
from tenants.admin.permissions import ReadOnly
from tenants.models import UsageArchive


@admin.register(UsageArchive)
class UsageArchiveAdmin(ReadOnly, ModelAdmin):
    list_display = ["period", "state", "events", "tokens", "cost", "object_key", "archived_at"]
    fields = [*list_display[:-1], "sha256", "begun_at", "archived_at"]

    @admin.display(description="cost")
    def cost(self, archive: UsageArchive) -> str:
        return usd(archive.cost_nanousd)
