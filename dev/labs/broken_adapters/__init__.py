"""Adapters that are right, and strategies for Hypothesis that break them at random."""
