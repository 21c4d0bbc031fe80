"""Other dialects of a chat: Anthropic's messages and OpenAI's responses, translated both ways.

`common` is what both need.
"""
