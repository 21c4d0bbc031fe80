"""Connections: one to Valkey for all requests of a process, and kept-alive ones to the engines.

`ValkeyClient` and `HttpClient` are the public face. Nothing here knows what a request means.
"""
