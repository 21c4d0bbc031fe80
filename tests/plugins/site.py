"""Fixtures of the pages, of the console and of /api/v1 that several folders of tests use."""
