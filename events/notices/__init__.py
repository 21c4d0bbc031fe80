"""Notices: mail about events of the outbox to the people whom they concern, each by their own choice.

Public face: `catalog` (what is said to whom, and what people switch off; the outbox's subscriber) and
`sending` (what workers do). The words are in templates/events/mail/.
"""
