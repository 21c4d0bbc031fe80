"""Fixtures of the development stack that several folders of tests use."""
