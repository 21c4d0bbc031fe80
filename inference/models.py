"""Responses and conversations that a workspace has us store. `inference.responses` reads and writes them."""

from datetime import timedelta
from typing import Self, TypeVar
from uuid import UUID, uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from tenants.models.people import Tenant

Row = TypeVar("Row", bound=models.Model)
# The longest that a row is kept. A workspace without days stores nothing: no row is newer than NULL.
KEPT_FOR = models.ExpressionWrapper(
    models.F("tenant__responses_kept_days") * models.Value(timedelta(days=1)),
    output_field=models.DurationField(),
)
KEPT_SINCE = models.ExpressionWrapper(Now() - KEPT_FOR, output_field=models.DateTimeField())


class KeptQuerySet(models.QuerySet[Row]):
    """Rows of one workspace, as long as its retention keeps them, counted from a moment of each."""

    moment = "created_at"

    def kept(self) -> Self:
        """Return the rows that may be read, by what their workspaces' rows say now."""
        since = models.F("tenant__responses_kept_since")
        is_after_change = models.Q(tenant__responses_kept_since=None) | self._is_after(since)
        return self.filter(is_after_change, self._is_after(KEPT_SINCE), tenant__deleted_at=None)

    def of(self, tenant_id: UUID) -> Self:
        """Return a workspace's rows that may be read."""
        return self.filter(tenant_id=tenant_id).kept()

    def _is_after(self, moment: Combinable) -> models.Q:
        return models.Q(**{f"{self.moment}__gt": moment})


class ConversationQuerySet(KeptQuerySet["Conversation"]):
    """Conversations are kept from their last change."""

    moment = "changed_at"


class StoredResponse(models.Model):
    """A response, with what its request added to the chain of responses before it."""

    id = models.UUIDField(primary_key=True, editable=False, help_text="Its id is resp_ and this one's hex.")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    key_id = models.UUIDField(help_text="The API key that made it.")
    model = models.CharField(max_length=200)
    ancestors = ArrayField(models.UUIDField(), help_text="The responses that it builds on, the first first.")
    conversation_id = models.UUIDField(null=True)
    items = models.BinaryField(help_text="The input items, as JSON.")
    response = models.BinaryField(help_text="The response, as JSON.")
    size_bytes = models.PositiveIntegerField(help_text="Of both.")
    chain_bytes = models.PositiveBigIntegerField(help_text="Of this one and its ancestors.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = KeptQuerySet["StoredResponse"].as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "created_at"], name="responses_of_a_tenant")]

    def __str__(self) -> str:
        return f"resp_{self.pk.hex}"


class Conversation(models.Model):
    """Items that responses read and add to."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="+", db_index=False)
    metadata = models.JSONField(default=dict)
    last_position = models.PositiveIntegerField(default=0)
    size_bytes = models.PositiveIntegerField(default=0, help_text="Of its items.")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now_add=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["tenant", "changed_at"], name="conversations_of_a_tenant")]

    def __str__(self) -> str:
        return f"conv_{self.pk.hex}"


class ConversationItem(models.Model):
    """A message, a function call or its output."""

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="items", db_index=False
    )
    position = models.PositiveIntegerField()
    public_id = models.CharField(max_length=100)
    content = models.BinaryField(help_text="The item, as JSON.")
    size_bytes = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["conversation", "position"], name="one_item_a_position"),
            models.UniqueConstraint(fields=["conversation", "public_id"], name="one_item_an_id"),
        ]

    def __str__(self) -> str:
        return self.public_id


class StoredBytes(models.Model):
    """How much a workspace stores in all, so that no request has to add it up."""

    tenant = models.OneToOneField(Tenant, primary_key=True, on_delete=models.CASCADE, related_name="+")
    used_bytes = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.used_bytes} B"
