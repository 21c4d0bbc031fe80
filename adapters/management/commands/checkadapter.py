"""`manage.py checkadapter ADAPTER`: the validation of an upload, from a shell, without any service."""

from argparse import ArgumentParser
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from adapters.uploads.conversions import SENTENCES
from adapters.uploads.sessions import QUANTISATIONS
from adapters.validation import BOUND, BaseShape, Report, base_model_reader, validate_folder
from adapters.validation.archive_reader import validate_archive
from adapters.validation.limits import ARCHIVES, archive_of


class Command(BaseCommand):
    """Exits with 0 and a summary, or with 1 and every reason with its fix."""

    help = "Check an adapter as an upload is checked. Needs no database and no service."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "adapter",
            metavar="ADAPTER",
            type=Path,
            help="the folder with its two files, or one archive of them",
        )
        parser.add_argument(
            "--base", metavar="DIR", type=Path, help="the base model (default: $BASE_MODEL_DIR)"
        )
        parser.add_argument(
            "--max-rank",
            metavar="N",
            type=int,
            default=settings.ENGINE_MAX_LORA_RANK,
            help="the engine's highest rank (default: $ENGINE_MAX_LORA_RANK, %(default)s)",
        )
        parser.add_argument(
            "--quantisation",
            choices=[words for words in QUANTISATIONS if words],
            default="",
            help="the base that it was trained on, as the upload form asks (default: what the files show)",
        )

    def handle(
        self, *, adapter: Path, base: Path | None, max_rank: int, quantisation: str, **options: object
    ) -> None:
        if not adapter.is_dir() and not (adapter.is_file() and archive_of(adapter.name)):
            endings = ", ".join(ARCHIVES)
            raise CommandError(f"{adapter} is neither a folder with an adapter nor an archive ({endings}).")
        try:
            shape = describe(base)
        except base_model_reader.UnreadableBase as error:
            raise CommandError(f"{error.message} Give the base model's folder with --base.") from error
        examine = validate_folder if adapter.is_dir() else validate_archive
        report = examine(adapter, shape, max_rank, quantisation)
        if not report.is_valid:
            self.stderr.write(refusal(adapter, report))
            raise SystemExit(1)
        self.stdout.write(summary(adapter, report, shape))


def describe(base: Path | None) -> BaseShape:
    """Return the base model in a folder, or the configured one. Raises UnreadableBase."""
    if base:
        return base_model_reader.read_base_model(base)
    return base_model_reader.read_base_model(settings.BASE_MODEL_DIR, settings.BASE_MODEL)


def summary(adapter: Path, report: Report, base: BaseShape) -> str:
    """Return the lines about a valid adapter."""
    lines = {
        "base": f"{base.name}, {report.layers} of {len(base.modules)} linear layers changed",
        "rank": f"{report.rank}, alpha {report.alpha:g}",
        "modules": ", ".join(report.target_modules),
        "size": f"{report.size_bytes:,} bytes",
        "sha256": report.sha256,
    }
    if report.strongest:
        lines["strongest"] = (
            f"{report.strongest.module}, {report.strongest.ratio:.1%} of the base's norm (limit {BOUND:.0%})"
        )
    return "\n".join([f"{adapter}: valid", *(f"  {name:<10}{text}" for name, text in lines.items())])


def refusal(adapter: Path, report: Report) -> str:
    """Return the lines about an adapter that no engine may see."""
    lines = [f"{adapter}: not valid"]
    for finding in report.findings:
        lines += [f"  {finding.sentence}  [{finding.code}]", f"    Fix: {finding.fix}"]
    if report.conversions:
        lines.append("  After an upload, this would be offered as a conversion:")
        lines += [f"    {SENTENCES[code]}" for code in report.conversions]
    return "\n".join(lines)
