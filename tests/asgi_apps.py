"""The source of small ASGI apps, for servers that are started as processes."""

LIFESPAN = """
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
"""
