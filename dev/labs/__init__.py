"""Test doubles and generators that tests, trials and benches share.

`engine/` has programs that the engine's own environment runs, `broken_adapters` makes adapters with known and
random faults, `fake_vllm` answers as an engine, `chat_client` streams chats as a client, and `machine` reads
what processes use.
"""
