"""The playground: the same admission, proxy and settlement as the API's, with the studio's own key."""

import io
import json
import re
from dataclasses import dataclass, replace
from functools import cache

import docx
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.text.paragraph import Paragraph
from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.public import ModelChoice, model_choices, name_default_style
from core.errors import Invalid
from inference.contract.watermark import DIGITAL_SOURCE_TYPE
from inference.playground.calls import Call, answer_call, open_caller, read_call, read_continuation
from metering.plans import limits_of
from metering.price_book import base_schedule, prices_now
from tenants.access import MemberRequest, member_required
from tenants.roles import Permission, requires

# Answers of the playground as a Word document and as a web page.

# What XML 1.0 forbids (section 2.2); a model may write it.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Of python-docx's own template.
STYLES = {"bullet_list": "List Bullet", "ordered_list": "List", "blockquote": "Quote"}
SCENE_BREAK = "* * *"
MAX_PARTS = 10_000  # paragraphs, bold words and the like; python-docx takes a millisecond for each


class TooLong(Invalid):
    """This text is too long for a Word document. Save it as text instead."""

    code = "text_too_long"


def write_docx(markdown: str) -> bytes:
    """Return a Word document of a text in Markdown: headings, lists, quotes, scene breaks, bold and italics.

    It ends with an empty paragraph: inserting before one takes no longer in a long document, appending does.

    Raises TooLong.
    """
    tokens = MarkdownIt().parse(FORBIDDEN.sub("", markdown))
    if sum(1 + len(token.children or []) for token in tokens) > MAX_PARTS:
        raise TooLong
    document = docx.Document()
    document.core_properties.author = ""
    document.core_properties.comments = ""
    end = document.add_paragraph()
    find_style = cache(document.styles.__getitem__)  # else it is searched for by name, paragraph by paragraph
    heading = number = ""
    styles: list[str] = []  # of what the text is within, the innermost last
    for token in tokens:
        kind, _, edge = token.type.rpartition("_")
        if kind in STYLES and edge == "open":
            styles.append(STYLES[kind])
        elif kind in STYLES:
            styles.pop()
        elif kind == "heading":
            heading = f"Heading {token.tag[1]}" if edge == "open" else ""
        elif token.type == "list_item_open":
            # As text: Word would count on from one list to the next.
            number = f"{token.info}{token.markup} " if token.info else ""
        elif token.type == "hr":
            end.insert_paragraph_before(SCENE_BREAK).alignment = WD_ALIGN_PARAGRAPH.CENTER
        elif token.type == "inline":
            name = heading or (styles[-1] if styles else "")
            paragraph = end.insert_paragraph_before(number, find_style(name) if name else None)
            number = ""
            _write_words(paragraph, token.children or [])
        elif token.content:  # code, and HTML, as it is
            end.insert_paragraph_before(token.content.rstrip("\n"))
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def write_html(markdown: str) -> bytes:
    """Return a web page of a text in Markdown. HTML in it is shown as text."""
    body = MarkdownIt("commonmark", {"html": False}).render(FORBIDDEN.sub("", markdown))
    context = {"body": body, "source_type": DIGITAL_SOURCE_TYPE}
    return render_to_string("inference/answers.html", context).encode()


def _write_words(paragraph: Paragraph, tokens: list[Token]) -> None:
    is_bold = is_italic = False
    for token in tokens:
        if token.type in ("strong_open", "strong_close"):
            is_bold = token.type == "strong_open"
        elif token.type in ("em_open", "em_close"):
            is_italic = token.type == "em_open"
        elif token.type in ("softbreak", "hardbreak"):  # a poem's lines are its own
            paragraph.add_run().add_break()
        elif token.content:
            run = paragraph.add_run(token.content)
            run.bold = is_bold
            run.italic = is_italic


@dataclass(frozen=True)
class Length:
    """How long an answer is to be, as a writer says it.

    One of `least_words` goes on, in further requests, until it has as many.
    """

    label: Promise
    tokens: int
    words: int
    least_words: int = 0


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
WRITERS = {"docx": (write_docx, DOCX), "html": (write_html, "text/html; charset=utf-8")}
LENGTHS = (
    Length(_("A paragraph"), tokens=160, words=100),
    Length(_("Half a page"), tokens=350, words=230, least_words=190),
    Length(_("A page"), tokens=700, words=460, least_words=400),
)


@require_GET
@member_required
@requires(to_read=Permission.WRITE_TEXT)
def playground(request: MemberRequest) -> HttpResponse:
    """Show the page: choose up to four styles, write a prompt, read the answers beside each other.

    `?style=` names what to begin with; it may stand there several times.
    """
    wanted = request.GET.getlist("style")
    default_style = name_default_style(request.tenant)
    if default_style and not wanted:
        wanted = [default_style]
    now = timezone.now()
    choices = model_choices(request.tenant, wanted)
    base = ModelChoice("base", gettext("Base model (no style)"), "", prices_now(base_schedule(now)))
    limits = limits_of(request.tenant, now)
    return render(
        request,
        "inference/playground.html",
        {
            "choices": [*choices, base],
            "has_styles": bool(choices),
            "wanted": json.dumps(wanted),
            "limits": limits,
            "lengths": [
                replace(length, tokens=min(length.tokens, limits.max_output_tokens)) for length in LENGTHS
            ],
            "is_short": limits.max_output_tokens < LENGTHS[-1].tokens,
            "languages": ("python", "javascript", "curl"),
            "api_base": f"{settings.SITE_URL}/v1",
            "sample_prompt": next((choice.sample_prompt for choice in choices if choice.sample_prompt), ""),
        },
    )


@require_POST
@member_required
@requires(Permission.WRITE_TEXT)
def download(request: MemberRequest, suffix: str) -> HttpResponse:
    """Send the text of a form as a file, a Word document or a web page; nothing is stored."""
    write, content_type = WRITERS[suffix]
    try:
        content = write(request.POST.get("text", ""))
    except TooLong as error:
        raise BadRequest(error.message) from error
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="polyscribe.{suffix}"'
    return answer


@login_required
@require_POST
async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream one answer."""
    return await answer_call(request, _read_call)


def _read_call(request: HttpRequest) -> Call:
    kind, body = read_continuation(read_call(request))
    return Call(open_caller(request), body, kind=kind)
