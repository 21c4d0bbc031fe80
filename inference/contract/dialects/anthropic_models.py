"""OpenAI's model objects in the form of Anthropic's `GET /v1/models`.

The form: https://platform.claude.com/docs/en/api/models-list, as Anthropic's Python client reads it.
"""

from datetime import UTC, datetime
from urllib.parse import parse_qs

from inference.errors import BadRequest
from inference.facts import JsonObject

DEFAULT_LIMIT = 20
MAX_LIMIT = 1000
MAX_PARAMETERS = 20
LIFECYCLE = "active"  # a style that is retired is in no list


def translate_list(listed: JsonObject, query: bytes) -> JsonObject:
    """Return one page of a list of models; the query says which. Raises BadRequest."""
    parameters = _read_query(query)
    models = [translate_model(model) for model in listed["data"]]
    wanted = parameters.get("lifecycle") or parameters.get("lifecycle[]") or [LIFECYCLE]
    if LIFECYCLE not in wanted:
        models = []
    limit = _read_limit(parameters)
    if "before_id" in parameters:
        end = _find(models, parameters, "before_id")
        start = max(0, end - limit)
        has_more = start > 0
    else:
        start = _find(models, parameters, "after_id") + 1 if "after_id" in parameters else 0
        end = start + limit
        has_more = end < len(models)
    page = models[start:end]
    return {
        "data": page,
        "has_more": has_more,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
    }


def translate_model(model: JsonObject) -> JsonObject:
    """Return one model."""
    created = datetime.fromtimestamp(model["created"], UTC).isoformat().replace("+00:00", "Z")
    return {
        "type": "model",
        "id": model["id"],
        "display_name": model["id"],
        "created_at": created,
        "lifecycle": LIFECYCLE,
        "max_input_tokens": model["context_length"],
        "max_tokens": model["context_length"],
        "capabilities": None,
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
    }


def _read_query(query: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(query.decode(), max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise BadRequest("Invalid query parameters.") from error


def _read_limit(parameters: dict[str, list[str]]) -> int:
    text = parameters.get("limit", [str(DEFAULT_LIMIT)])[0]
    if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)):
        limit = int(text)
        if 1 <= limit <= MAX_LIMIT:
            return limit
    raise BadRequest(f"`limit` must be a whole number between 1 and {MAX_LIMIT}.", param="limit")


def _find(models: list[JsonObject], parameters: dict[str, list[str]], name: str) -> int:
    """Return where the model is that a cursor names."""
    wanted = parameters[name][0]
    for index, model in enumerate(models):
        if model["id"] == wanted:
            return index
    raise BadRequest(f"`{name}` must be the id of a model in this list.", param=name)
