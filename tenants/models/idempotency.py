"""Answers that are kept, so that a request that is sent twice acts once."""

from django.db import models

from tenants.models.people import Tenant


class CachedAnswer(models.Model):
    """The answer to one request with an Idempotency-Key, encrypted: it may hold a new key's secret."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="cached_answers")
    caller = models.CharField(max_length=50, help_text="key:<id> or user:<id>: others may use the same name.")
    name_digest = models.CharField(max_length=64, help_text="SHA-256 of the Idempotency-Key.")
    request_digest = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField()
    body = models.BinaryField(help_text="Can be decrypted only with the Idempotency-Key.")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "caller", "name_digest"], name="one_answer_a_name"),
        ]

    def __str__(self) -> str:
        return f"{self.status} for {self.caller}"
