from tests.config.addresses import of_acme
from tests.config.changes import ready

__all__ = ["of_acme", "ready"]
