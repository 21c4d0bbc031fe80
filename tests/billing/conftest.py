from tests.tenants.conftest import event

__all__ = ["event"]
