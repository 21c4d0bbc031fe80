"""Fixtures of tests/training that other folders' tests use as well."""
