"""Receipts and checks for programs, below /v1."""
