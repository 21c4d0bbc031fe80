"""Other dialects of a chat: Anthropic's messages and OpenAI's responses, translated both ways.

`common` is what both need.

vLLM 0.32 has endpoints of both forms, but neither reports running usage, so a hang-up could not be billed
what was made; their errors come in three shapes; Responses keeps state that all tenants would share.
Translating them leaves one upstream, one metering and one rule for hang-ups, for 2.6 and 3.8 µs a chunk.
"""
