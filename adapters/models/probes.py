"""What an adapter does to the base model, measured on an engine after loading."""

from django.db import models

from adapters.models.engines import Engine
from adapters.models.versions import AdapterVersion


class Probe(models.Model):
    """The effect of one version, measured once: numbers and sample answers behind its style card."""

    version = models.OneToOneField(AdapterVersion, on_delete=models.CASCADE, related_name="probe")
    engine = models.CharField(max_length=60)
    strength = models.FloatField(
        help_text="Mean shift of log probabilities from the base model, in nats per token."
    )
    noise = models.FloatField(
        help_text="The same between two runs of the base model: a smaller shift is no effect."
    )
    shifts = models.JSONField(default=list, help_text="Per fixed prompt: {prompt, shift}.")
    samples = models.JSONField(default=list, help_text="Per fixed prompt: {prompt, base, style}.")
    measures = models.JSONField(
        default=dict, help_text="{base, style}: {words_a_sentence, reading_ease, phrases} of all samples."
    )
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.version}: {self.strength:.3f}"


class BaseReading(models.Model):
    """What the base model answers to the probe's prompts on an engine, for as long as that process runs."""

    engine = models.OneToOneField(Engine, on_delete=models.CASCADE, related_name="base_reading")
    process_began_at = models.DateTimeField()
    answers = models.JSONField(help_text="Per fixed prompt: {prompt, likeliest}, token → log-probability.")
    noise = models.FloatField(help_text="Mean shift when some prompts are run again in a smaller batch.")

    def __str__(self) -> str:
        return f"{self.engine} since {self.process_began_at:%Y-%m-%d %H:%M:%S}"

    @property
    def prompts(self) -> list[str]:
        """The prompts, in order."""
        return [row["prompt"] for row in self.answers]

    @property
    def likeliest(self) -> list[dict[str, float]]:
        """The likeliest tokens of each answer, in the prompts' order."""
        return [row["likeliest"] for row in self.answers]
