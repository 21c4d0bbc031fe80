"""The request contract: what clients may send, checked and bounded before a request is admitted.

`requests.parse_request` is the public face. `route` and `usage` are data types that accompany a request, and
`http_errors` maps errors to HTTP.
"""
