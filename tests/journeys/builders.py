"""What several journeys use."""

import re
from typing import Literal

from pydantic import BaseModel

from tests.waiting import eventually

KEY = re.compile(r"sk-ps-[0-9A-Za-z]{36}")
QUESTION = [{"role": "user", "content": "Why is the sky blue?"}]


def logged_requests(writer, **filters: str) -> list[list[str]]:
    """Return the rows of the log of requests."""
    return rows(writer.session.get("/usage/requests/", params=filters).text)


def billed(writer, request_id: str, *, outcome: str = "") -> tuple[int, int]:
    """Return the prompt and written tokens that the log of requests has for a request, once it has it.

    With an `outcome`, the log must say that of the request.
    """
    found: list[list[str]] = []

    def counted() -> bool:
        found[:] = [row for row in logged_requests(writer, q=request_id) if request_id in row[-1]]
        return bool(found)

    eventually(counted, within_s=300, every_s=0.3, what=f"the log of requests does not have {request_id}")
    [row] = found
    assert outcome in " ".join(row)
    return int(row[3].replace(",", "")), int(row[4].replace(",", ""))


class Sky(BaseModel):
    colour: Literal["blue", "red"]


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


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
