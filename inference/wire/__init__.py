"""Connections: one to Valkey for all requests of a process, kept-alive ones to the engines.

Nothing here knows what a request means.
"""
