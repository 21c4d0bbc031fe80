"""Make the catalogues that Django reads (.mo) of those that people write (.po): `python locale/compile.py`.

It is no `pybabel compile`: that takes every "100 % of" for a placeholder and refuses it. Placeholders are
compared by tests/website/test_languages.py.
"""

from datetime import UTC, datetime
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # babel fills in today's: the same file would differ by the minute


def main() -> None:
    for source in sorted(Path(__file__).parent.glob("*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with source.open("rb") as file:
            catalog = read_po(file, locale=source.parent.parent.name)
        catalog.creation_date = catalog.revision_date = NO_TIME
        with target.open("wb") as file:
            write_mo(file, catalog)


if __name__ == "__main__":
    main()
