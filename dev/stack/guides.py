"""Make the guides' pages in docs/built/, one folder a language: `python dev/stack/guides.py`.

docs/index.md says which guides there are, on which shelf and what each is about. Their texts are laid flat,
under the names that their addresses have; where a guide is not translated, its English text is among the
translations. Sphinx makes the rest, as docs/conf.py says, once for each release; no server needs Sphinx.
"""

import posixpath
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).resolve().parents[2]
DOCS = "docs"
BUILT = ROOT / DOCS / "built"
# Addresses that differ from the file's name.
NAMES = {
    "docs/api.md": "writing-with-the-api",  # /docs/api/ is the reference
    "docs/cli.md": "command-line",
    "SECURITY.md": "reporting-a-vulnerability",
    "dev/bench/README.md": "benchmarks",
}
TITLES = {"en": "Polyscribe docs", "de": "Polyscribe-Dokumentation"}
FOREIGN_NOTES = {"de": "Diese Seite gibt es nur auf Englisch."}
# What Furo's templates say to screen readers, and a landmark that they lack.
TOOLS = '<div class="content-icon-container"'
SIDEBAR = '<aside class="sidebar-drawer"'
HEADING = 'class="caption" role="heading"'
MENDED = {
    "en": {
        TOOLS: f'{TOOLS} role="region" aria-label="Display"',
        SIDEBAR: f'{SIDEBAR} aria-label="Guides"',
        HEADING: f'{HEADING} aria-level="2"',
    },
    "de": {
        SIDEBAR: f'{SIDEBAR} aria-label="Anleitungen"',
        HEADING: f'{HEADING} aria-level="2"',
        TOOLS: f'{TOOLS} role="region" aria-label="Darstellung"',
        "Toggle Light / Dark / Auto color theme": "Farbschema: hell, dunkel oder automatisch",
        "Toggle site navigation sidebar": "Navigation ein- oder ausblenden",
        "Toggle table of contents sidebar": "Inhaltsverzeichnis ein- oder ausblenden",
    },
}
# Sphinx evaluates the rule of a language's plurals, which the page's policy refuses. Ours have English's.
PLURALS = re.compile(r"new Function\(\s*\"n\",[^;]*\);")
SITE = "https://site.invalid"  # see docs/conf.py
CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
LINK = re.compile(r"\[([^\[\]]*)\]\(([^)\s]+)\)")
ENTRY = re.compile(r"^- \[(.+?)\]\((\S+?)\): (.+)$", re.MULTILINE)


def build(language: str, target: Path) -> None:
    """Make the pages of one language. Raises SystemExit if Sphinx warns of anything."""
    # Each language registers what Sphinx adds to docutils anew.
    with tempfile.TemporaryDirectory() as temporary, docutils_namespace():
        source, trees = Path(temporary) / "source", Path(temporary) / "trees"
        source.mkdir()
        lay_out(language, source)
        settings = {
            "language": language,
            "html_title": TITLES[language],
            "guide_anchors": {name_of(path): list_anchors(path) for path in guide_paths()},
            "guide_summaries": summaries(language),
            "guide_foreign": [name_of(path) for path in foreign_paths(language)],
            "guide_foreign_note": FOREIGN_NOTES.get(language, ""),
        }
        app = Sphinx(
            source, ROOT / DOCS, target, trees, "dirhtml", settings, status=None, warningiserror=True
        )
        app.build()
        if app.statuscode:
            raise SystemExit(app.statuscode)
    (target / ".buildinfo").unlink()
    tools = target / "_static" / "doctools.js"
    tools.write_text(PLURALS.sub("(n) => Number(n !== 1);", tools.read_text()))
    for page in target.rglob("*.html"):
        text = page.read_text()
        for old, new in MENDED[language].items():
            text = text.replace(old, new)
        page.write_text(text)


def guide_paths() -> list[str]:
    """Return the English text of each guide, the index first, from the project's root."""
    index = f"{DOCS}/index.md"
    entries = ENTRY.findall((ROOT / index).read_text())
    return [index, *(resolve(link, index) for _, link, _ in entries if not link.startswith("/"))]


def name_of(path: str) -> str:
    """Return the last part of a guide's address."""
    return NAMES.get(path) or Path(path).stem


def text_of(path: str, language: str) -> str:
    """Return where a guide's text stands in a language; the English one if it is not translated."""
    translation = translation_of(path, language)
    return translation if (ROOT / translation).exists() else path


def foreign_paths(language: str) -> list[str]:
    """Return the guides that are in English although the page around them is not."""
    return [path for path in guide_paths() if language != "en" and text_of(path, language) == path]


def translation_of(path: str, language: str) -> str:
    """Return where the translation of a text of docs/ stands, whether it is there or not."""
    return f"{DOCS}/{language}/{posixpath.basename(path)}"


def original_of(path: str) -> str:
    """Return the English text of a translation; any other path as it is."""
    folder, name = posixpath.split(path)
    return f"{DOCS}/{name}" if folder in {f"{DOCS}/{language}" for language in TITLES} else path


def resolve(link: str, path: str) -> str:
    """Return the path from the project's root to which a link in a text leads."""
    return original_of(posixpath.normpath(posixpath.join(posixpath.dirname(path), link)))


def summaries(language: str) -> dict[str, str]:
    """Return what each guide is about, by its name."""
    index = text_of(f"{DOCS}/index.md", language)
    text = (ROOT / index).read_text()
    found = {name_of(resolve(link, index)): summary for _, link, summary in ENTRY.findall(text)}
    return found | {"index": text.split("\n\n")[1]}


def lay_out(language: str, folder: Path) -> None:
    """Write the guides' texts into a folder, and what our own templates say in another language."""
    for path in guide_paths():
        source = text_of(path, language)
        text = "".join(relink((ROOT / source).read_text(), source))
        if name_of(path) == "index":
            text += "".join(contents(text))
        (folder / f"{name_of(path)}.md").write_text(text)
    words = ROOT / DOCS / language / "sphinx.po"
    if words.exists():
        catalog = folder / "locale" / language / "LC_MESSAGES"
        catalog.mkdir(parents=True)
        shutil.copy(words, catalog)


def relink(text: str, path: str) -> Iterator[str]:
    """Yield the parts of a text, with links to guides by their names; other files become plain text."""
    names = {known: name_of(known) for known in guide_paths()}

    def point(found: re.Match[str]) -> str:
        label, link = found.groups()
        if link.startswith("/"):
            return f"[{label}]({SITE}{link})"
        if re.match(r"#|[a-z]+:", link):
            return found[0]
        file, hash_mark, anchor = link.partition("#")
        name = names.get(resolve(file, path))
        return f"[{label}]({name}.md{hash_mark}{anchor})" if name else label

    for number, part in enumerate(CODE.split(text)):
        yield part if number % 2 else LINK.sub(point, part)


def contents(index: str) -> Iterator[str]:
    """Yield a hidden table of contents for each shelf of the index: Sphinx makes the navigation of them."""
    _, *shelves = index.split("\n## ")
    for shelf in shelves:
        caption, _, rest = shelf.partition("\n")
        entries = [
            f"{title} <{link.removesuffix('.md')}>"
            for title, link, _ in ENTRY.findall(rest)
            if SITE not in link
        ]
        yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""])


def list_anchors(path: str) -> list[str]:
    """Return the anchor of each heading of an English text, as GitHub makes them."""
    anchors: list[str] = []
    prose = "".join(CODE.split((ROOT / path).read_text())[::2])
    for title in TITLE.findall(prose):
        base = re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower())).strip("-_")
        same = [anchor for anchor in anchors if re.fullmatch(rf"{re.escape(base)}(-\d+)?", anchor)]
        anchors.append(f"{base}-{len(same)}" if same else base)
    return anchors


def main() -> None:
    """Make every language's pages, and put them in place once all are there."""
    with tempfile.TemporaryDirectory(dir=ROOT / DOCS, prefix=".built-") as temporary:
        made = Path(temporary) / "built"
        for language in TITLES:
            build(language, made / language)
        if BUILT.exists():
            BUILT.rename(Path(temporary) / "before")
        made.rename(BUILT)


if __name__ == "__main__":
    main()
