"""The gateway's HTTP server: HTTP/1.1 on httptools and `asyncio.Protocol`, within bounds.

It calls any ASGI app that has a lifespan. What a stock server has that this one doesn't, and why:
docs/decisions/0066-the-gateway-has-a-server-of-its-own.md
"""
