"""Fixtures of tests/adapters that other folders' tests use as well."""
