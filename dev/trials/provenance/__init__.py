"""The watermark on a real engine: how surely it is found, what it costs, and what it survives."""
