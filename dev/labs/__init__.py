"""What trials and benches share, some of it with tests; what tests alone use is in tests/fakes.

`engine/` has programs that the engine's own environment runs, `broken_adapters` makes adapters with random
faults, `stub_engine` answers as vLLM does, `chat_client` streams chats as a client, and `machine` reads what
processes use.
"""
