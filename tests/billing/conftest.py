from tests.billing.builders import invoice, on_writer
from tests.tenants.conftest import event

__all__ = ["event", "invoice", "on_writer"]
