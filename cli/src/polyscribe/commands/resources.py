"""The commands that are one request each, as rows: of keys, webhook endpoints, styles and their versions."""

from typing import Annotated

from rich.filesize import decimal
from typer import Argument, BadParameter, Option, Typer

from polyscribe.client import Client, is_id
from polyscribe.commands import completion
from polyscribe.commands.factory import Command, Facts, add_commands, option
from polyscribe.commands.session import (
    Scope,
    StyleArgument,
    VersionArgument,
    read_end,
    read_event_types,
    read_https,
)
from polyscribe.commands.show import moment
from polyscribe.errors import NotFound, Object
from polyscribe.settings import replace_key

KeyArgument = Annotated[
    str, Argument(metavar="KEY", help="A key's name or id.", autocompletion=completion.complete_key)
]
EndpointArgument = Annotated[
    str,
    Argument(
        metavar="ENDPOINT", help="An endpoint's id or URL.", autocompletion=completion.complete_endpoint
    ),
]
SelectedArgument = Annotated[
    str, Argument(metavar="STYLE", help="A selected style.", autocompletion=completion.complete_selected)
]
EventOption = Annotated[
    list[str] | None,
    Option(
        "--event", callback=read_event_types, help="Event type, such as version.serving; repeat for more."
    ),
]
AT_ONCE = option(bool, False, "--at-once", help="Continue even if other workspaces lose access.")


def find_key(client: Client, facts: Facts) -> Object:
    wanted = facts["key"]
    name = "id" if is_id(wanted) else "name"
    for key in client.pages("/keys"):
        if key[name] == wanted and key["is_live"]:
            return key
    sentence = f"No active key “{wanted}”. List the keys with polyscribe keys list."
    raise NotFound(sentence, status=404, code="not_found")


def find_endpoint(client: Client, facts: Facts) -> Object:
    wanted = facts["endpoint"]
    for endpoint in client.pages("/webhooks"):
        if wanted in (endpoint["id"], endpoint["url"]):
            return endpoint
    sentence = f"No such endpoint: “{wanted}”. List them with polyscribe webhooks list."
    raise NotFound(sentence, status=404, code="not_found")


def find_others_style(client: Client, facts: Facts) -> Object:
    found = client.find_style(facts["style"])
    if found["is_own"]:
        raise BadParameter("this is your own style; only other workspaces' styles can be selected.")
    return found


def count_versions(client: Client, facts: Facts) -> str:
    """Return how many versions a style has, in words."""
    count = sum(1 for _ in client.pages(f"{client.style_path(facts['style'])}/versions"))
    return f"{count} version{'' if count == 1 else 's'}"


def describe_key(facts: Facts) -> Object:
    """Return the body of a new key. Without an end, it ends when the workspace lets new keys end."""
    scopes = [scope.value for scope in facts["scope"] or [Scope.INFERENCE]]
    body: Object = {"name": facts["name"], "scopes": scopes}
    if facts["monthly_tokens"]:
        body["limits"] = {"monthly_tokens": facts["monthly_tokens"]}
    if facts["expires_at"]:
        body["expires_at"] = None if facts["expires_at"] == "never" else facts["expires_at"]
    return body


def describe_edit(facts: Facts) -> Object:
    texts = ("name", "description", "sample_prompt", "author", "licence", "language")
    body = {field: facts[field] for field in texts if facts[field] is not None}
    if facts["tag"]:
        body["tags"] = facts["tag"]
    if not body:
        raise BadParameter(
            "nothing to change. Add an option such as --description “How we write to customers.”"
        )
    facts["changed"] = ", ".join(body)
    return body


def ask_to_rotate(facts: Facts) -> str:
    hours = facts["old_secret_hours"]
    lives = f"works for {hours} more hours." if hours else "stops working immediately."
    return f"Replace the secret of “{facts['found']['name']}”? The old one {lives}"


def note_secret(facts: Facts) -> list[str]:
    """Return what a person should know of a key's new secret. The own key's is stored."""
    key = facts["answer"]
    notes = [f"This is the secret of “{key['name']}”. It won't be shown again."]
    if key["expires_at"]:
        notes.append(f"It expires {moment(key['expires_at'])}, at {key['expires_at']}.")
    if facts["found"] and replace_key(facts["found"]["hint"], key["secret"]):
        notes.append("You were logged in with this key. The new secret is stored.")
    return notes


def words_of_version(version: Object) -> str:
    words = ["live"] if version["is_live"] else []
    words += ["canary"] if version["is_canary"] else []
    words += [version["failure"] or version["note"] or ", ".join(version["effects"])]
    return " · ".join(filter(None, words))


KEYS = (
    Command(
        "list",
        "List the keys, newest first.",
        "GET /keys",
        columns={
            "NAME": "name",
            "HINT": "hint",
            "SCOPES": lambda key: ", ".join(key["scopes"]),
            "STATE": lambda key: "live" if key["is_live"] else "revoked" if key["revoked_at"] else "expired",
            "LAST USED": lambda key: moment(key["last_used_at"], never="never"),
            "EXPIRES": lambda key: moment(key["expires_at"], never="never"),
            "ID": "id",
        },
    ),
    Command(
        "create",
        "Create a key. Its secret is shown only once, so store it safely.",
        "POST /keys",
        {
            "name": Annotated[str, Argument(help="What the key is for.")],
            "scope": option(
                list[Scope] | None,
                None,
                "--scope",
                help="Scope of the key; repeat for more. Default: inference.",
            ),
            "monthly_tokens": option(int | None, None, min=1, help="Monthly token limit of the key."),
            "expires_at": option(
                str,
                "",
                callback=read_end,
                help="Expiration: 2027-01-01T00:00:00Z, or never. Default: the workspace's default.",
            ),
        },
        body=describe_key,
        done="{answer[secret]}",
        notes=note_secret,
    ),
    Command(
        "rotate",
        "Rotate a key. The new secret is shown only once. If you're logged in with this key, it is updated.",
        "POST /keys/{found[id]}/rotate",
        {
            "key": KeyArgument,
            "old_secret_hours": option(
                int, 24, min=0, max=168, help="How long the old secret remains valid."
            ),
        },
        body=lambda facts: {"old_secret_hours": facts["old_secret_hours"]},
        find=find_key,
        question=ask_to_rotate,
        done="{answer[secret]}",
        notes=note_secret,
    ),
    Command(
        "revoke",
        "Revoke a key permanently, effective immediately.",
        "DELETE /keys/{found[id]}",
        {"key": KeyArgument},
        find=find_key,
        question="Revoke “{found[name]}” ({found[hint]})? Programs that use it stop working.",
        done="The key “{answer[name]}” was revoked.",
    ),
)
ENDPOINTS = (
    Command(
        "list",
        "List the endpoints, newest first.",
        "GET /webhooks",
        columns={
            "URL": "url",
            "EVENTS": lambda endpoint: ", ".join(endpoint["event_types"]) or "all",
            "STATE": lambda endpoint: (
                "enabled" if endpoint["is_enabled"] else endpoint["disabled_reason"] or "disabled"
            ),
            "ID": "id",
        },
    ),
    Command(
        "create",
        "Create an endpoint. Its signing secret is shown only once.",
        "POST /webhooks",
        {
            "url": Annotated[str, Argument(callback=read_https, help="A public https URL.")],
            "event": (EventOption, None),
            "description": option(str, "", help="Description."),
        },
        body=lambda facts: {
            "url": facts["url"],
            "event_types": facts["event"] or [],
            "description": facts["description"],
        },
        done="{answer[secret]}",
        notes=lambda facts: [
            f"This is the secret of endpoint {facts['answer']['id']}. It won't be shown again."
        ],
    ),
    Command(
        "delete",
        "Delete an endpoint and its deliveries.",
        "DELETE /webhooks/{found[id]}",
        {"endpoint": EndpointArgument},
        find=find_endpoint,
        question="Delete the endpoint {found[url]} with its deliveries?",
        printed=lambda _: {"deleted": True},
        done="The endpoint was deleted.",
    ),
)
STYLES = (
    Command(
        "edit",
        "Update a style's details. Omitted options don't change.",
        "PATCH /styles/{model}",
        {
            "style": StyleArgument,
            "name": option(str | None, None, help="Display name."),
            "description": option(str | None, None, help="Description."),
            "sample_prompt": option(str | None, None, help="Sample prompt."),
            "author": option(str | None, None, help="Author."),
            "licence": option(str | None, None, help="Licence: CC BY 4.0, or custom terms."),
            "language": option(str | None, None, help="Language code: en, pt-br."),
            "tag": option(list[str] | None, None, "--tag", help="Tag; repeat for more."),
        },
        body=describe_edit,
        done="{answer[model]} updated: {changed}.",
    ),
    Command(
        "delete",
        "Delete a style and erase all its versions.",
        "DELETE /styles/{model}",
        {"style": StyleArgument, "at_once": AT_ONCE},
        body=lambda facts: {"at_once": facts["at_once"]},
        find=count_versions,
        question="Delete {model} and erase its {found}?",
        printed=lambda facts: facts["answer"]["data"],
        done="{model} was deleted; {found} being erased.",
    ),
)
UNSELECT = Command(
    "unselect",
    "Deselect another workspace's style. Requests to it fail until you select it again.",
    "DELETE /styles/{found[id]}/selection",
    {"style": SelectedArgument},
    find=find_others_style,
    printed=lambda facts: {"unselected": facts["found"]["model"]},
    done="{found[model]} is no longer selected.",
)
VERSIONS = Command(
    "versions",
    "List a style's versions, newest first.",
    "GET /styles/{model}/versions",
    {"style": StyleArgument},
    columns={
        "VERSION": "number",
        "STATUS": "status",
        "CREATED": lambda version: moment(version["created_at"]),
        "SIZE": lambda version: decimal(version["size_bytes"]),
        "": words_of_version,
    },
)
PROMOTE = Command(
    "promote",
    "Make a version the live version of its style.",
    "POST /styles/{model}/versions/{version}/promote",
    {"style": StyleArgument, "version": VersionArgument},
    done="{model}@{version} is now live for {model}.",
)
ROLLBACK = Command(
    "rollback",
    "Roll back to the previous live version.",
    "POST /styles/{model}/rollback",
    {"style": StyleArgument},
    done="{model}@{answer[number]} is live again for {model}.",
)
RETIRE = Command(
    "retire",
    "Retire a version permanently. Its files are kept.",
    "POST /styles/{model}/versions/{version}/retire",
    {"style": StyleArgument, "version": VersionArgument, "at_once": AT_ONCE},
    body=lambda facts: {"at_once": facts["at_once"]},
    question="Retire {model}@{version}? It can't return to service.",
    done="{model}@{version} was retired.",
)

KEYS_APP = Typer(name="keys", help="The workspace's API keys.", no_args_is_help=True)
add_commands(KEYS_APP, *KEYS)
