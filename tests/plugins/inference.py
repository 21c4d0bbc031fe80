"""Fixtures of tests/inference that other folders' tests use as well."""
