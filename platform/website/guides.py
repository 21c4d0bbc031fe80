"""The guides: pages that Sphinx made of docs/ (dev/stack/guides.py), in the reader's language.

They are part of the release, so nothing here asks a database. Their theme has scripts and styles within its
pages; the policy of each page allows just these, by their digests.
"""

import hashlib
import json
import mimetypes
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.csp import CSP, build_policy
from django.utils.translation import get_language
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import condition, require_GET

BUILT = settings.BASE_DIR / "docs" / "built"
SITE = "https://site.invalid"  # stands in the pages for this site's address
INLINE = re.compile(r'<(script|style)>(.*?)</\1>| style="([^"]*)"', re.DOTALL)
RETRY_AFTER_S = 5


@dataclass(frozen=True)
class Section:
    """A heading of a guide."""

    title: str
    guide: str
    url: str


@require_GET
@gzip_page
def show_guide(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show a guide, or the list of all. Raises Http404."""
    if not BUILT.is_dir():
        page = render(request, "guides_missing.html", {"retry_after_s": RETRY_AFTER_S}, status=503)
        page.headers["Retry-After"] = str(RETRY_AFTER_S)
        return page
    if "q" in request.GET and not name:
        return redirect(f"{reverse('guide', args=['search'])}?{request.GET.urlencode()}")
    text = _find(f"{name}/index.html").read_text().replace(SITE, settings.SITE_URL)
    return HttpResponse(text, headers={str(CSP.HEADER_ENFORCE): build_policy(policy_of(text))})


def _etag(request: HttpRequest, name: str) -> str:
    """Return what differs between languages and between releases."""
    return f'"{get_language()}-{_find(name).stat().st_mtime_ns}"'


@require_GET
@gzip_page
@condition(etag_func=_etag)
def show_file(request: HttpRequest, name: str) -> HttpResponse:
    """Return a file that guides load. Raises Http404."""
    kind, _ = mimetypes.guess_type(name)
    headers = {"Content-Type": kind or "application/octet-stream", "Cache-Control": "no-cache"}
    return HttpResponse(_find(name).read_bytes(), headers=headers)


def policy_of(page: str) -> dict[str, list[str]]:
    """Return the site's policy with what stands within a page."""
    allowed: dict[str, set[str]] = {"script": set(), "style": {"'unsafe-hashes'"}}
    for tag, text, attribute in INLINE.findall(page):
        digest = hashlib.sha256((text or unescape(attribute)).encode()).digest()
        allowed[tag or "style"].add(f"'sha256-{b64encode(digest).decode()}'")
    return settings.SECURE_CSP | {
        f"{kind}-src": [CSP.SELF, *sorted(sources)] for kind, sources in allowed.items()
    }


def find_sections(words: str) -> list[Section]:
    """Return the headings that have each word, of guides in the reader's language."""
    index = _folder() / "searchindex.js"
    if not index.exists():
        return []
    terms = words.casefold().split()
    sections = _read_sections(index, index.stat().st_mtime_ns)
    return [one for one in sections if all(term in one.title.casefold() for term in terms)]


@lru_cache(maxsize=4)
def _read_sections(index: Path, _changed_ns: int) -> list[Section]:
    """Return every heading that Sphinx's index has, guides' own titles first."""
    known = json.loads(index.read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    sections = []
    for title, places in known["alltitles"].items():
        for number, anchor in places:
            name = known["docnames"][number]
            url = reverse("guides") if name == "index" else reverse("guide", args=[name])
            guide = known["titles"][number]
            sections.append(Section(title, guide, f"{url}#{anchor}" if anchor else url))
    return sorted(sections, key=lambda one: "#" in one.url)


def _folder() -> Path:
    return BUILT / (get_language() or settings.LANGUAGE_CODE)


def _find(name: str) -> Path:
    """Return a built file. Raises Http404."""
    folder = _folder().resolve()
    file = (folder / name.lstrip("/")).resolve()
    if not (file.is_relative_to(folder) and file.is_file()):
        raise Http404
    return file
