"""The gateway's HTTP server: HTTP/1.1 on httptools and `asyncio.Protocol`, within bounds.

It calls any ASGI app. What it has and what a stock server has beside it: docs/decisions/0066-the-gateway-has-a-server-of-its-own.md
"""
