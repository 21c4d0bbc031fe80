from tests.billing.builders import invoice, on_writer

__all__ = ["invoice", "on_writer"]
