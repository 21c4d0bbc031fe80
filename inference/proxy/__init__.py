"""One request on its way: admitted, placed, queued, sent, streaming, settled.

`request` is the public face and the state machine. `admission_wait` waits for a style that is being loaded,
`failover` chooses another engine where the first one fails, and `runtime` holds what one process needs.
"""
