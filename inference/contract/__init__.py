"""The request contract: what clients may send, checked and bounded, before anything is admitted.

`requests.parse` is the public face; `route` and `usage` are the data types that travel with a request, and
`http_errors` is the table from errors to HTTP.
"""
