"""The site's pages as a browser without JavaScript sees them, for the smoke run."""

import html
import re

import httpx2

from stack.errors import Miss

Session = httpx2.Client


def signed_in(site: str, *, login: str, password: str) -> Session:
    """Return a session that logged in through the form. Raises Miss."""
    session = Session(base_url=site, follow_redirects=True, timeout=30)
    page = fetched(session, "/accounts/login/")
    answer = post_form(session, "/accounts/login/", page, login=login, password=password)
    if answer.status_code != 200 or answer.url.path.startswith("/accounts/login"):
        raise Miss(f"Logging in as {login} failed (status {answer.status_code}).")
    return session


def post_form(session: Session, path: str, page: str, **fields: str) -> httpx2.Response:
    """Send a form of a page; return the answer. Raises Miss if the page has no form."""
    form = {"csrfmiddlewaretoken": token(page), **fields}
    return session.post(path, data=form, headers={"Referer": str(session.base_url)})


def mailed_link(session: Session, address: str) -> str:
    """Return the path that the newest mail to an address leads to, from the demo's mailbox. Raises Miss."""
    for mail in re.findall(r"<article\b.*?</article>", fetched(session, "/mailbox/"), re.DOTALL):
        found = re.search(r'href="https?://[^/"]+(/[^"]+)"', mail)
        if address in mail and found:
            return html.unescape(found.group(1))
    raise Miss(f"There is no mail with a link to {address}.")


def fetched(session: Session, path: str) -> str:
    """Return a page's HTML. Raises Miss unless it is there."""
    answer = session.get(path)
    if answer.status_code != 200:
        raise Miss(f"{answer.url} returned {answer.status_code}.")
    return answer.text


def token(page: str) -> str:
    """Return the page's CSRF token."""
    return attribute(page, r'<input[^>]*name="csrfmiddlewaretoken"[^>]*>', "value")


def attribute(page: str, tag: str, name: str) -> str:
    """Return one attribute of the first tag that the pattern finds. Raises Miss."""
    found = re.search(tag, page)
    value = found and re.search(rf'\b{name}="([^"]*)"', found.group())
    if not value:
        raise Miss(f"The page has no {name} on {tag}.")
    return html.unescape(value.group(1))


def link(page: str, key: str) -> str:
    """Return where the navigation's link of a keyboard letter leads."""
    return attribute(page, rf'<a\b[^>]*data-go="{key}"[^>]*>', "href")


def rows(page: str) -> list[list[str]]:
    """Return the text of each table row's cells."""
    found = []
    for row in re.findall(r"<tr\b.*?</tr>", page, re.DOTALL):
        cells = re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        found.append([text_of_cell(cell) for cell in cells])
    return found


def text_of_cell(html: str) -> str:
    """Return a table cell's text without its tags, its white space single."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
