"""Training holds: what is reserved for trainings and what they were charged at, to read."""

# mypy: disallow-subclassing-any=False

from django.contrib import admin

from billing.admin.base import dollars_column
from core.console import ListAdmin
from metering.forms import MILLION
from metering.models import TrainingHold
from tenants.console import ReadOnly

MOMENTS = ("created_at", "confirmed_at", "settled_at")


@admin.register(TrainingHold)
class TrainingHoldAdmin(ReadOnly, ListAdmin):
    list_display = ["created_at", "tenant", "training", "held", "price", "most_tokens", "settled_at"]
    list_filter = [("settled_at", admin.EmptyFieldListFilter)]
    list_select_related = ["tenant"]
    search_fields = ["training", "tenant__slug"]
    ordering = ["-created_at", "-training"]
    fields = ["tenant", "training", "held", "price", "most_tokens", "period", *MOMENTS]
    readonly_fields = fields

    held = dollars_column("nanousd", "held")
    price = dollars_column("token_nanousd", "per million", times=MILLION)
