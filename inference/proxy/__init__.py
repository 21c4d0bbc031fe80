"""One request on its way: admitted, placed, queued, sent, streamed, settled.

`relay` is the public face. `backends` chooses the engine, `fair_queue` the order, `vllm` speaks to it, `sse`
passes its stream on; `runtime` holds what one process needs.
"""
