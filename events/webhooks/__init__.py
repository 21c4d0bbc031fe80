"""Webhooks: events of the outbox on their way to a workspace's own addresses, signed and in order.

Public face: `endpoints` (what people and programs do) and `delivery` (what workers do). `transport` is the
only way out: it reaches no address that is not public.
"""
