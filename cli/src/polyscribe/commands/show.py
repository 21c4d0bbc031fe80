"""What commands print: results on stdout, everything else on stderr. Programs get amounts and moments as the
API gives them; people read them as here."""

import csv
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from polyscribe.errors import ApiError, Object, PolyscribeError

BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
PIPED_WIDTH = 100_000  # characters: no terminal shows the line, so a program reads it, and nothing wraps it
STEPS = ((60, "second"), (60, "minute"), (24, "hour"), (30, "day"))

# Titles, each with the name of a field, or with what makes a cell of an object; None is a blank cell.
Columns = Mapping[str, str | Callable[[Object], object]]


def stderr() -> Console:
    """Return the console of notes, progress and errors."""
    width = None if sys.stderr.isatty() else PIPED_WIDTH
    return Console(stderr=True, highlight=False, markup=False, width=width)


def print_note(sentence: str) -> None:
    """Print what a person may want to know beside the result."""
    stderr().print(printable(sentence), style="dim")


def print_line(sentence: str) -> None:
    """Print a result of one line. It may be a key, so nothing wraps it; terminals break long lines."""
    print_raw(printable(sentence))


def print_json(data: object, *, indent: int | None = 2) -> None:
    print_raw(json.dumps(data, indent=indent, ensure_ascii=False))


def print_answer(data: object, sentence: str, *, as_json: bool) -> None:
    """Print what was done: for people in a sentence, for programs what the service answered."""
    if as_json:
        print_json(data)
    else:
        print_line(sentence)


def print_raw(line: str) -> None:
    """Print a line as it is, at once: who reads it may wait for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def print_table(columns: Columns, entries: Iterable[Object]) -> None:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for entry in entries:
        cells = [entry[column] if isinstance(column, str) else column(entry) for column in columns.values()]
        table.add_row(*("" if cell is None else Text(printable(str(cell))) for cell in cells))
    _print_whole(table)


def print_pairs(rows: Iterable[tuple[str, str]]) -> None:
    table = Table("", "", box=None, pad_edge=False, header_style="bold")
    for title, fact in rows:
        table.add_row(title, Text(printable(fact)))
    _print_whole(table)


def print_beside(titles: Sequence[str], texts: Sequence[str]) -> None:
    """Print texts beside each other, below their titles; in a pipe, one after the other."""
    if sys.stdout.isatty():
        table = Table(*titles, expand=True, show_lines=True)
        table.add_row(*[Text(printable(text)) for text in texts])
        return _print_whole(table)
    for title, text in zip(titles, texts, strict=True):
        print_line(f"{title}:\n{text}\n")


def _print_whole(table: Table) -> None:
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    Console(highlight=False, markup=False, width=width).print(table)


def print_csv(columns: Sequence[str], entries: Iterable[Object]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([entry[column] for column in columns] for entry in entries)


def print_error(error: PolyscribeError) -> None:
    """Print what went wrong and what to do about it, in a sentence; findings and fields a line each."""
    lines = [error.message]
    for finding in error.facts.get("findings", ()):
        lines += [f"  • {finding['sentence']}", f"    {finding['fix']}"]
    for document in error.facts.get("documents", ()):
        lines.append(f"  • {document['refusal']} {document['fix']}")
    if isinstance(error, ApiError):
        for fault in error.errors:
            if fault.get("message") not in (None, error.detail):
                lines.append(f"  {fault.get('field')}: {fault['message']}")
        if error.status >= 500 and error.request_id:
            lines.append(f"  Request ID for support: {error.request_id}")
    stderr().print(printable("\n".join(lines)))


def describe_error(error: PolyscribeError) -> Object:
    return {"error": {"kind": type(error).__name__, "detail": error.message, **error.facts}}


def printable(text: str) -> str:
    """Return a text without control characters: others' texts must not steer a terminal."""
    return "".join(character for character in text if character in "\n\t" or _is_harmless(character))


def _is_harmless(character: str) -> bool:
    # Joiners and wide spaces belong to some scripts. Only what steers a terminal or turns text is left out.
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in BIDIRECTIONAL


def dollars(amount: str | None) -> str | None:
    """Return an amount as `$1,234.50`; below a cent with its first two digits, as `$0.000045`."""
    if amount is None:
        return None
    value = Decimal(amount)
    if value == 0 or abs(value) >= Decimal("0.01"):
        return f"${value:,.2f}"
    digits = 1 - value.adjusted()
    return f"${value:.{digits}f}".rstrip("0")


def count(number: int | None) -> str | None:
    """Return a number as `1,234`."""
    return None if number is None else f"{number:,}"


def moment(written: str | None, *, never: str = "") -> str:
    """Return a moment as `2 minutes ago` or `in 3 days`; one that is over a month away as its day."""
    if written is None:
        return never
    at = parse_time(written)
    seconds = (datetime.now(timezone.utc) - at).total_seconds()
    amount = abs(seconds)
    if amount < 5:
        return "just now"
    for step, unit in STEPS:
        if amount < step:
            words = f"{int(amount)} {unit}{'' if int(amount) == 1 else 's'}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
        amount /= step
    return f"{at:%Y-%m-%d}"


def clock(written: str) -> str:
    """Return a moment as the time of day of this machine, for lines that are printed as things happen."""
    return f"{parse_time(written).astimezone():%H:%M:%S}"


def parse_time(written: str) -> datetime:
    """Return a moment of the API. Raises ValueError."""
    return datetime.fromisoformat(written.replace("Z", "+00:00"))  # Python 3.10 reads no Z
