"""The entry point that vLLM loads in each of its processes (`polyscribe-1.dist-info/entry_points.txt`)."""


def register() -> None:
    """Bound what grammars cost; on a CPU, let waiting processes sleep.

    Raises, and so ends the start, where vLLM is not the one we know.
    """
    # Here, for vLLM goes on without a plugin whose import fails.
    import polyscribe_grammars  # noqa: PLC0415
    import polyscribe_queues  # noqa: PLC0415
    from vllm.platforms import current_platform  # noqa: PLC0415

    polyscribe_grammars.install()
    if current_platform.is_cpu():
        polyscribe_queues.install()
