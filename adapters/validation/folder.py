"""Validate an adapter in a folder: which files must and must not be there."""

from dataclasses import replace
from pathlib import Path

from adapters.validation.findings import Findings
from adapters.validation.limits import CONFIG_FILE, CONFIG_LIMIT, PICKLE_ENDINGS, WEIGHTS_FILE
from adapters.validation.shapes import BaseShape
from adapters.validation.sources import LocalFile
from adapters.validation.validator import Report, validate_adapter

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
