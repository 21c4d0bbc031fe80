"""Hosted styles: what invoices ask for hosting, style by style, to read."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin

from core.console import ListAdmin
from metering.console import LongList, PeriodFilter
from metering.models import HostedStyle
from tenants.console import ReadOnly


@admin.register(HostedStyle)
class HostedStyleAdmin(LongList, ReadOnly, ListAdmin):
    list_display = ["period", "tenant", "style_name", "noted_at"]
    list_filter = [PeriodFilter]
    list_select_related = ["tenant"]
    search_fields = ["style_name", "tenant__slug"]
    ordering = ["-period", "-pk"]
    id_field = "style_name"
