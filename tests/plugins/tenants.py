"""Fixtures of tests/tenants that other folders' tests use as well."""
