"""Validate an adapter: report everything that is wrong with it, not only the first fault."""

from dataclasses import dataclass

from adapters.errors import Finding
from adapters.validation import autofix, config, header, tensors, weights
from adapters.validation.findings import Findings
from adapters.validation.limits import UPLOAD_LIMIT, WEIGHTS_LIMIT
from adapters.validation.shapes import BaseShape, last_name
from adapters.validation.sources import Source
from adapters.validation.weights import Strength, Weights


@dataclass(frozen=True)
class Report:
    """What a validation found. Valid means: no findings."""

    findings: tuple[Finding, ...]
    size_bytes: int = 0  # of the weights' file
    sha256: str = ""  # of the weights' file, hex; empty when it was not read
    rank: int | None = None  # the highest of any layer
    alpha: float | None = None
    target_modules: tuple[str, ...] = ()  # last names, such as q_proj, that have weights
    layers: int = 0  # how many of the base's linear layers are changed
    strongest: Strength | None = None
    fingerprint: bytes = b""  # see fingerprint.py
    conversions: tuple[str, ...] = ()  # codes of the automatic fixes that would make it valid: see autofix.py

    @property
    def is_valid(self) -> bool:
        return not self.findings


def validate_adapter(
    config_bytes: bytes,
    source: Source,
    base: BaseShape,
    max_rank: int,
    stated_quantisation: str = "",
) -> Report:
    """Return the report on an adapter: its config's bytes and its weights.

    `max_rank` is the engine's; `stated_quantisation` is what the uploader says of the base trained on, like
    `4-bit`. Raises what the source raises, and Shortened when the file shrinks meanwhile; nothing else.
    """
    findings = Findings()
    settings = config.read_config(
        config_bytes, base=base, max_rank=max_rank, stated_quantisation=stated_quantisation, findings=findings
    )
    if source.size > WEIGHTS_LIMIT:
        findings.add("weights_too_large", size=source.size, limit=WEIGHTS_LIMIT)
    if source.size > UPLOAD_LIMIT:
        return Report(findings.as_tuple(), source.size)
    content = header.read_header(source, findings)
    factors = tensors.identify_factors(
        content, base=base, settings=settings, max_rank=max_rank, findings=findings
    )
    count_before_weights = findings.count
    read = Weights()
    if content.is_sound:  # else it is refused whatever follows, and a gigabyte need not be read
        read = weights.read_weights(source, factors, base=base, findings=findings)
    fix = None
    if findings.count and findings.count == count_before_weights:  # insane weights can't be fixed
        fix = autofix.plan_autofix(config_bytes, source, base, max_rank, stated_quantisation)
    modules = {factor.module for factor in factors}
    return Report(
        findings.as_tuple(),
        size_bytes=source.size,
        sha256=read.sha256,
        rank=settings.highest_rank,
        alpha=settings.alpha,
        target_modules=tuple(sorted({last_name(module) for module in modules})),
        layers=len(modules),
        strongest=read.strongest,
        fingerprint=read.fingerprint,
        conversions=fix.codes if fix else (),
    )
