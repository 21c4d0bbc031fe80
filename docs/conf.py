"""How Sphinx makes the guides. dev/stack/guides.py runs it for each language, and gives what differs."""

import html
import re

from docutils import nodes
from sphinx.transforms import SphinxTransform

project = "Polyscribe"
extensions = ["myst_parser"]
locale_dirs = ["locale"]
templates_path = ["_templates"]
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

myst_heading_anchors = 4
myst_heading_anchors_html_ids = False  # SameAnchors gives them
myst_disable_syntax = ["html_inline", "myst_line_comment", "myst_role", "myst_target"]

highlight_language = "none"
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"

SITE = "https://site.invalid"  # the server that shows a page puts its own address there
html_theme = "furo"
html_baseurl = f"{SITE}/docs/"
html_css_files = ["/static/css/tokens.css", "/static/css/guides.css"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_show_sphinx = False
html_use_index = False


class SameAnchors(SphinxTransform):
    """Gives headings the anchors of the English text, by position: links name them in every language."""

    default_priority = 690  # before MyST resolves links to anchors

    def apply(self, **_kwargs):
        anchors = self.config.guide_anchors.get(self.env.docname, [])
        slugs = self.document.myst_slugs
        known = list(slugs.values())
        slugs.clear()
        for section, anchor, (line, _, title) in zip(
            self.document.findall(nodes.section), anchors, known, strict=True
        ):
            section["ids"] = [anchor]
            section["slug"] = anchor
            self.document.ids[anchor] = section
            slugs[anchor] = (line, anchor, title)


def finish_page(app, page_name, _template, context, _doctree):
    """Describe a page to search engines, and let keyboards and screen readers use its tables and code."""
    title = html.unescape(re.sub("<.*?>", "", context.get("title", "")))
    summary = app.config.guide_summaries.get(page_name, "")
    described = {
        "name='description'": summary,
        "property='og:site_name'": "Polyscribe",
        "property='og:type'": "website",
        "property='og:title'": title,
        "property='og:description'": summary,
        "property='og:url'": html_baseurl + app.builder.get_target_uri(page_name),
        "property='og:image'": f"{SITE}/static/img/card.png",
    }
    # As on the site's own pages: nothing moves when they come.
    context["metatags"] = context.get("metatags", "") + "".join(
        f'<link rel="preload" href="/static/fonts/{font}.woff2" as="font" type="font/woff2" crossorigin>'
        for font in ("sans-400", "sans-600", "serif-400")
    )
    if summary:
        for name, content in described.items():
            context["metatags"] += f'<meta {name} content="{html.escape(content)}">'
    body = context.get("body", "")
    body = body.replace("<pre>", '<pre tabindex="0">').replace(f'href="{SITE}/', 'href="/')
    body = body.replace('<div class="table-wrapper', '<div tabindex="0" role="group" class="table-wrapper')
    body = re.sub(
        r'<th class="head([^"]*)"><p></p></th>|<th class="head([^"]*)"></th>',
        r'<td class="head\1\2"></td>',
        body,
    )
    if page_name in app.config.guide_foreign:
        body = f'<p class="foreign">{app.config.guide_foreign_note}</p><div lang="en">{body}</div>'
    context["body"] = body


def setup(app):
    app.add_config_value("guide_anchors", {}, "env")
    app.add_config_value("guide_summaries", {}, "html")
    app.add_config_value("guide_foreign", [], "html")
    app.add_config_value("guide_foreign_note", "", "html")
    app.add_transform(SameAnchors)
    app.connect("html-page-context", finish_page, priority=900)
