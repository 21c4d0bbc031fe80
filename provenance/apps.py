from django.apps import AppConfig


class ProvenanceConfig(AppConfig):
    """Watermarks, receipts and the detector."""

    name = "provenance"
    verbose_name = "Provenance"
