"""Fixtures of tests/billing that other folders' tests use as well."""
