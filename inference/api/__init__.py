"""The ASGI app of `/v1`: authentication, bodies, idempotency, the answer's form.

`app` is the public face.
"""
