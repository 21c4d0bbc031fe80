"""`manage.py checkadapter ADAPTER`: validate an adapter as an upload, from a shell, without any service."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from adapters.errors import UnreadableBase
from adapters.uploads.sessions import CONVERSIONS
from adapters.uploads.upload_request import QUANTISATIONS
from adapters.validation import BOUND, BaseShape, Report, base_model_reader, validate_folder
from adapters.validation.archive_reader import validate_archive
from adapters.validation.limits import ARCHIVES, archive_of


class Command(BaseCommand):
    """Exits with 0 and a summary, or with 1 and every finding with its fix."""

    help = "Run the checks of an upload on a local adapter. Needs no database or service."
    audit_action = None  # it changes nothing
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "adapter",
            metavar="ADAPTER",
            type=Path,
            help="folder with the two files, or an archive of them",
        )
        parser.add_argument(
            "--base", metavar="DIR", type=Path, help="the base model (default: $BASE_MODEL_DIR)"
        )
        parser.add_argument(
            "--max-rank",
            metavar="N",
            type=int,
            default=settings.ENGINE_MAX_LORA_RANK,
            help="the engine's maximum rank (default: $ENGINE_MAX_LORA_RANK, %(default)s)",
        )
        parser.add_argument(
            "--quantisation",
            choices=[stated for stated in QUANTISATIONS if stated],
            default="",
            help="quantisation of the base model used in training, as in the upload form (default: "
            "detected from the files)",
        )

    def handle(
        self, *, adapter: Path, base: Path | None, max_rank: int, quantisation: str, **options: object
    ) -> None:
        if not adapter.is_dir() and not (adapter.is_file() and archive_of(adapter.name)):
            endings = ", ".join(ARCHIVES)
            raise CommandError(f"{adapter} is not a folder with an adapter or an archive ({endings}).")
        try:
            shape = read_base(base)
        except UnreadableBase as error:
            raise CommandError(f"{error.message} Set the base model's folder with --base.") from error
        validate = validate_folder if adapter.is_dir() else validate_archive
        report = validate(adapter, shape, max_rank, quantisation)
        if not report.is_valid:
            self.stderr.write(findings_text(adapter, report))
            raise SystemExit(1)
        self.stdout.write(summary_text(adapter, report, shape))


def read_base(base: Path | None) -> BaseShape:
    """Return the base model in a folder, or the configured one. Raises UnreadableBase."""
    if base:
        return base_model_reader.read_base_model(base)
    return base_model_reader.read_base_model(settings.BASE_MODEL_DIR, settings.BASE_MODEL)


def summary_text(adapter: Path, report: Report, base: BaseShape) -> str:
    """Return the lines about a valid adapter."""
    facts = {
        "base": f"{base.name}, {report.layers} of {len(base.modules)} linear layers changed",
        "rank": f"{report.rank}, alpha {report.alpha:g}",
        "modules": ", ".join(report.target_modules),
        "size": f"{report.size_bytes:,} bytes",
        "sha256": report.sha256,
    }
    if report.strongest:
        facts["strongest"] = (
            f"{report.strongest.module}, {report.strongest.ratio:.1%} of the base's norm (limit {BOUND:.0%})"
        )
    lines = [f"{adapter}: valid"]
    for name, text in facts.items():
        lines.append(f"  {name:<10}{text}")
    return "\n".join(lines)


def findings_text(adapter: Path, report: Report) -> str:
    """Return the lines about an adapter that is not valid."""
    lines = [f"{adapter}: not valid"]
    for finding in report.findings:
        lines += [f"  {finding.sentence}  [{finding.code}]", f"    Fix: {finding.fix}"]
    if report.conversions:
        lines.append("  After an upload, this conversion would be offered:")
        for code in report.conversions:
            lines.append(f"    {CONVERSIONS[code]}")
    return "\n".join(lines)
