"""Fixtures of tests/cli that other folders' tests use as well."""
