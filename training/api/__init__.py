"""Trainings in the management API, under /api/v1/trainings."""
