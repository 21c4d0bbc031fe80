"""Types that every layer of the gateway shares: JSON objects, Valkey's client, facts of a request."""

from typing import Any, Literal, NamedTuple

# A JSON object of which nothing is known yet: a client or an engine wrote it.
type JsonObject = dict[str, Any]

# redis-py's client. It types an answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

# Where an engine has an adapter: in a slot, in its memory, on its disk; "loading" where no engine has it.
type AdapterTier = Literal["warm", "cpu", "disk", "loading"]


# How an admitted request ended. Of one whose gateway died, the sweeper says "swept".
type Outcome = Literal["complete", "client_disconnect", "upstream_error", "refused"]


class Rates(NamedTuple):
    """What is left of a minute's limits, the tighter of the workspace's and the key's."""

    requests_limit: int
    requests_left: int
    requests_reset_ms: int
    tokens_limit: int
    tokens_left: int
    tokens_reset_ms: int
