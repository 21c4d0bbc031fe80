"""What the rate of new workspaces counts."""

from django.db import models


class Founding(models.Model):
    """A workspace that a person founded lately; the rate of foundings counts these.

    Of a new person, who had none, it has where they came from, each as a digest.
    """

    person = models.CharField(max_length=64)
    domain = models.CharField(max_length=64, blank=True, default="", db_default="")
    network = models.CharField(max_length=64, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["person", "created_at"], name="founding_of_person")]

    def __str__(self) -> str:
        return f"{self.person} at {self.created_at:%Y-%m-%d %H:%M}"
