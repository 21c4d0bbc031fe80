from tests.inference.quota.builders import known

__all__ = ["known"]
