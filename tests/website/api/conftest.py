from tests.tenants.api.conftest import admin, documented_answers, with_key

__all__ = ["admin", "documented_answers", "with_key"]
