"""A fake vLLM: one package, three servers, because they are asked for different things.

`control_side` loads adapters and answers tests that don't run in an event loop; `data_side` streams chats to
the gateway under test; `prepared_bytes` answers benches with bytes that are made before anybody asks.
"""
