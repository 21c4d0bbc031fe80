"""The timeouts and limits of one gateway process. `Gateway` carries them; tests pass other values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """All figures of the proxy that a test shortens. Times are in seconds unless the name says otherwise."""

    # Waiting for an adapter that is being loaded, or for an engine that is away.
    # Clients retry a 503 twice within seconds; an engine needs half a minute to restart (decision 14).
    route_poll_s: float = 0.25
    adapter_wait_s: float = 60
    engine_wait_s: float = 120
    tables_poll_s: float = 1.0  # what a lost message of a changed route costs
    # A request that waits for an adapter holds no limit, so these bound how many wait and how much memory
    # they keep. A parsed body takes a few times its bytes.
    loading_max: int = 1024
    loading_max_per_tenant: int = 128
    loading_max_bytes: int = 128 * 1024 * 1024
    loading_max_bytes_per_tenant: int = 16 * 1024 * 1024

    # Circuits: how long an engine, or an adapter that the engine does not know, is left alone.
    circuit_open_s: float = 3.0
    adapter_absent_s: float = 1.0

    # The fair queue of one engine.
    queue_max: int = 2048
    queue_max_per_tenant: int = 512
    queue_wait_s: float = 60
    # Tenants that run nothing and begin at once although no place or slot is free. The engine interrupts
    # others for them (engine/extensions/polyscribe_scheduler.py). Beyond these the queue decides.
    entrants_max: int = 16
    idle_tenants_max: int = 512  # whose shares are remembered

    # Streams and bodies.
    comment_every_s: float = 10  # a silent stream gets a comment, so that no proxy takes it for dead
    silence_check_every_s: float = 1  # so much later a comment may come
    bodies_max_bytes: int = 256 * 1024 * 1024  # in one process

    # Heartbeats: how often a request in flight extends its hold, and how often one without a first byte
    # checks its engine's health.
    heartbeat_every_s: float = 2
    health_recheck_every_s: float = 1
    # An engine that has not read a request yet can't end it: it is told so again.
    abort_every_s: float = 0.5
    metrics_every_s: float = 5  # what a process that is killed may leave uncounted
    # Less than a lease, so that no request in flight loses its hold while a loop is down.
    loop_restart_s: float = 0.5
    # After a flush: two heartbeats of every live gateway, and a second.
    recovery_grace_ms: int = 5_000
