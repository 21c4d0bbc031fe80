"""Validate an adapter: report everything that is wrong with it, not only the first fault."""

from dataclasses import dataclass, replace
from pathlib import Path

from adapters.errors import Finding
from adapters.validation import autofix, config, header, tensors, weights
from adapters.validation.findings import Findings
from adapters.validation.limits import (
    CONFIG_FILE,
    CONFIG_LIMIT,
    PICKLE_ENDINGS,
    UPLOAD_LIMIT,
    WEIGHTS_FILE,
    WEIGHTS_LIMIT,
)
from adapters.validation.shapes import BaseShape, last_name
from adapters.validation.sources import LocalFile, Source
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
    fingerprint: bytes = b""
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


ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")


def validate_folder(directory: Path, base: BaseShape, max_rank: int, stated_quantisation: str = "") -> Report:
    """Return the report on the adapter in a folder. Files that are no part of an adapter are ignored."""
    findings = Findings()
    names = sorted(entry.name for entry in directory.iterdir() if entry.is_file())
    for name in names:
        if name.lower().endswith(PICKLE_ENDINGS):
            findings.add("file_pickle", file=name)
        elif name.lower().endswith(ARCHIVE_ENDINGS):
            findings.add("file_archive", file=name)
    check_presence(names, findings)
    if CONFIG_FILE not in names or WEIGHTS_FILE not in names:
        return Report(findings.as_tuple())
    with (directory / CONFIG_FILE).open("rb") as file:
        config_bytes = file.read(CONFIG_LIMIT + 1)
    weights = LocalFile(directory / WEIGHTS_FILE)
    report = validate_adapter(config_bytes, weights, base, max_rank, stated_quantisation)
    return replace(report, findings=(*findings.as_tuple(), *report.findings))


def check_presence(names: list[str], findings: Findings) -> None:
    """Report which of the two files is missing among the names."""
    if CONFIG_FILE not in names:
        findings.add("file_missing", file=CONFIG_FILE)
    others = [name for name in names if name.endswith(".safetensors")]
    if WEIGHTS_FILE not in names and others:
        findings.add("file_misnamed", file=others[0])
    elif WEIGHTS_FILE not in names:
        findings.add("file_missing", file=WEIGHTS_FILE)
