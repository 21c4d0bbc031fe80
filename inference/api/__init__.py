"""The ASGI app of `/v1`: authentication, request bodies, idempotency, and the form of each answer.

`app.app` and `app.lifespan` are the public face.
"""
