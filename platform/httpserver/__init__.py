"""The gateway's HTTP server: HTTP/1.1 on httptools and `asyncio.Protocol`, within bounds.

It calls any ASGI app. What a stock server has beside it, and why we do without:
docs/decisions/0066-the-gateway-has-a-server-of-its-own.md
"""
