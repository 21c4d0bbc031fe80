"""Erasing a version's files everywhere, step by step, with evidence that people can be shown."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from adapters.models.versions import AdapterVersion
from core.message_fields import MessageField


class Erasure(models.Model):
    """One version whose files are to go from everywhere. The row stays: it is the report."""

    version = models.OneToOneField(AdapterVersion, on_delete=models.CASCADE, related_name="erasure")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    requested_at = models.DateTimeField(auto_now_add=True)
    withdrawn_at = models.DateTimeField(null=True, help_text="When the last route to it was removed.")
    drained_at = models.DateTimeField(null=True, help_text="When its last request ended.")
    storage_gone_at = models.DateTimeField(
        null=True, help_text="The storage confirms that it has none of its files."
    )
    finished_at = models.DateTimeField(null=True)
    note = MessageField(help_text="What the step is waiting for.")

    def __str__(self) -> str:
        return f"erasure of {self.version}"


class EngineErasure(models.Model):
    """The same on one engine: its registry, its memory, the local copy beside it."""

    class Proof(models.TextChoices):
        RESTART = "restart", _("the engine has restarted since")
        NEVER = "never", _("it was never loaded there")
        ATTESTED = "vouched", _("an operator confirmed that its machines were wiped")

    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="engines")
    engine = models.CharField(max_length=60)
    unregistered_at = models.DateTimeField(null=True, help_text="The engine no longer lists it.")
    process_began_at = models.DateTimeField(
        null=True, help_text="Start of the process that no longer has it."
    )
    memory_free_at = models.DateTimeField(null=True)
    proof = models.CharField(max_length=10, choices=Proof, blank=True)
    copy_gone_at = models.DateTimeField(null=True, help_text="The engine's local copy is deleted.")
    note = MessageField(help_text="What the step is waiting for.")

    class Meta:
        constraints = [models.UniqueConstraint("erasure", "engine", name="one_erasure_an_engine")]

    def __str__(self) -> str:
        return f"{self.erasure} on {self.engine}"
