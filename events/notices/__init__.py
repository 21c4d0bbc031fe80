"""Notices: mail about events of the outbox to the people whom they concern, each by their own choice.

Public face: `recipients` (the outbox's subscriber), `choices` (what people switch off) and `sending` (what
workers do). What is said to whom is the table in `catalog`; the words are in templates/events/mail/.
"""
