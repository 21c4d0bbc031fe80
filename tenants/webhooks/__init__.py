"""Webhooks: events of the outbox on their way to a workspace's own addresses, signed and in order.

Public face: `endpoints` (what people and programs do) and `delivery` (what workers do). `addresses` is the
only way out: it refuses every address that is not public.
"""
