"""The commands that are one request each, as rows: of keys, webhook endpoints, styles and their versions."""

from typing import Annotated

import typer
from rich.filesize import decimal

from polyscribe.client import Client, is_id
from polyscribe.commands import completion, show
from polyscribe.commands.choices import NEVER, Scope, read_end, read_event_types, read_https
from polyscribe.commands.factory import Change, Facts, Listing, add_command, option
from polyscribe.commands.session import StyleArgument, VersionArgument
from polyscribe.commands.show import moment
from polyscribe.errors import NotFound, Object
from polyscribe.settings import replace_key

KeyArgument = Annotated[
    str,
    typer.Argument(metavar="KEY", help="A key's name or id.", autocompletion=completion.complete_key),
]
EndpointArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENDPOINT", help="An endpoint's id or URL.", autocompletion=completion.complete_endpoint
    ),
]
EventOption = Annotated[
    list[str] | None,
    typer.Option(
        "--event", callback=read_event_types, help="Event type, such as version.serving; repeat for more."
    ),
]
AtOnceFlag = Annotated[bool, typer.Option("--at-once", help="Continue even if other workspaces lose access.")]
AT_ONCE = {"at_once": (AtOnceFlag, False)}


def find_key(client: Client, facts: Facts) -> Object:
    """Return a live key by its id or name. Raises NotFound."""
    wanted = facts["key"]
    name = "id" if is_id(wanted) else "name"
    for key in client.pages("/keys"):
        if key[name] == wanted and key["is_live"]:
            return key
    sentence = f"No active key “{wanted}”. List the keys with polyscribe keys list."
    raise NotFound(sentence, status=404, code="not_found")


def find_endpoint(client: Client, facts: Facts) -> Object:
    """Return an endpoint by its id or its URL. Raises NotFound."""
    wanted = facts["endpoint"]
    for endpoint in client.pages("/webhooks"):
        if wanted in (endpoint["id"], endpoint["url"]):
            return endpoint
    sentence = f"No such endpoint: “{wanted}”. List them with polyscribe webhooks list."
    raise NotFound(sentence, status=404, code="not_found")


def find_others_style(client: Client, facts: Facts) -> Object:
    """Return another workspace's style. Raises NotFound, typer.BadParameter."""
    found = client.find_style(facts["style"])
    if found["is_own"]:
        raise typer.BadParameter("this is your own style; only other workspaces' styles can be selected.")
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
        body["expires_at"] = None if facts["expires_at"] == NEVER else facts["expires_at"]
    return body


def describe_edit(facts: Facts) -> Object:
    """Return what an edit of a style changes. Raises typer.BadParameter for nothing."""
    texts = ("name", "description", "sample_prompt", "author", "licence", "language")
    body = {field: facts[field] for field in texts if facts[field] is not None}
    if facts["tag"]:
        body["tags"] = facts["tag"]
    if not body:
        raise typer.BadParameter(
            "nothing to change. Add an option such as --description “How we write to customers.”"
        )
    facts["changed"] = ", ".join(body)
    return body


def ask_to_rotate(facts: Facts) -> str:
    """Return the question before a key's secret is replaced."""
    hours = facts["old_secret_hours"]
    lives = (
        f"The old one works for {hours} more hours." if hours else "The old one stops working immediately."
    )
    return f"Replace the secret of “{facts['found']['name']}”? {lives}"


def note_secret(facts: Facts) -> list[str]:
    """Return what a person should know of a key's new secret."""
    key = facts["answer"]
    notes = [f"This is the secret of “{key['name']}”. It won't be shown again."]
    if key["expires_at"]:
        notes.append(f"It expires {moment(key['expires_at'])}, at {key['expires_at']}.")
    return notes


def keep_own_secret(facts: Facts) -> None:
    """Store the new secret if the old one is what this command line is logged in with."""
    if replace_key(facts["found"]["hint"], facts["answer"]["secret"]):
        show.print_note("You were logged in with this key. The new secret is stored.")


def state_of_key(key: Object) -> str:
    """Return whether a key works."""
    return "live" if key["is_live"] else "revoked" if key["revoked_at"] else "expired"


def state_of_endpoint(endpoint: Object) -> str:
    """Return whether an endpoint gets events."""
    return "enabled" if endpoint["is_enabled"] else endpoint["disabled_reason"] or "disabled"


def words_of_version(version: Object) -> str:
    """Return what is worth saying of a version."""
    words = ["live"] if version["is_live"] else []
    words += ["canary"] if version["is_canary"] else []
    words += [version["failure"] or version["note"] or ", ".join(version["effects"])]
    return " · ".join(filter(None, words))


KEYS = (
    Listing(
        "list",
        "List the keys, newest first.",
        "/keys",
        {
            "NAME": "name",
            "HINT": "hint",
            "SCOPES": lambda key: ", ".join(key["scopes"]),
            "STATE": state_of_key,
            "LAST USED": lambda key: moment(key["last_used_at"], never="never"),
            "EXPIRES": lambda key: moment(key["expires_at"], never="never"),
            "ID": "id",
        },
    ),
    Change(
        "create",
        "Create a key. Its secret is shown only once, so store it safely.",
        "POST",
        "/keys",
        done="{answer[secret]}",
        parameters={
            "name": Annotated[str, typer.Argument(help="What the key is for.")],
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
        note=note_secret,
    ),
    Change(
        "rotate",
        "Rotate a key. The new secret is shown only once. If you're logged in with this key, it is updated.",
        "POST",
        "/keys/{found[id]}/rotate",
        done="{answer[secret]}",
        parameters={
            "key": KeyArgument,
            "old_secret_hours": option(
                int,
                24,
                min=0,
                max=168,
                help="How long the old secret remains valid.",
            ),
        },
        body=lambda facts: {"old_secret_hours": facts["old_secret_hours"]},
        find=find_key,
        question=ask_to_rotate,
        note=note_secret,
        after=keep_own_secret,
    ),
    Change(
        "revoke",
        "Revoke a key permanently, effective immediately.",
        "DELETE",
        "/keys/{found[id]}",
        done="The key “{answer[name]}” was revoked.",
        parameters={"key": KeyArgument},
        find=find_key,
        question="Revoke “{found[name]}” ({found[hint]})? Programs that use it stop working.",
    ),
)
ENDPOINTS = (
    Listing(
        "list",
        "List the endpoints, newest first.",
        "/webhooks",
        {
            "URL": "url",
            "EVENTS": lambda endpoint: ", ".join(endpoint["event_types"]) or "all",
            "STATE": state_of_endpoint,
            "ID": "id",
        },
    ),
    Change(
        "create",
        "Create an endpoint. Its signing secret is shown only once.",
        "POST",
        "/webhooks",
        done="{answer[secret]}",
        parameters={
            "url": Annotated[str, typer.Argument(callback=read_https, help="A public https URL.")],
            "event": (EventOption, None),
            "description": option(str, "", help="Description."),
        },
        body=lambda facts: {
            "url": facts["url"],
            "event_types": facts["event"] or [],
            "description": facts["description"],
        },
        note=lambda facts: [
            f"This is the secret of endpoint {facts['answer']['id']}. It won't be shown again."
        ],
    ),
    Change(
        "delete",
        "Delete an endpoint and its deliveries.",
        "DELETE",
        "/webhooks/{found[id]}",
        done="The endpoint was deleted.",
        parameters={"endpoint": EndpointArgument},
        find=find_endpoint,
        question="Delete the endpoint {found[url]} with its deliveries?",
        printed=lambda _: {"deleted": True},
    ),
)
STYLES = (
    Change(
        "edit",
        "Update a style's details. Omitted options don't change.",
        "PATCH",
        "/styles/{model}",
        done="{answer[model]} updated: {changed}.",
        parameters={
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
    ),
    Change(
        "delete",
        "Delete a style and erase all its versions.",
        "DELETE",
        "/styles/{model}",
        done="{model} was deleted; {found} being erased.",
        parameters={"style": StyleArgument, **AT_ONCE},
        body=lambda facts: {"at_once": facts["at_once"]},
        find=count_versions,
        question="Delete {model} and erase its {found}?",
        printed=lambda facts: facts["answer"]["data"],
    ),
)
# They have no group.
OTHERS = (
    Change(
        "unselect",
        "Deselect another workspace's style. Requests to it fail until you select it again.",
        "DELETE",
        "/styles/{found[id]}/selection",
        done="{found[model]} is no longer selected.",
        parameters={
            "style": Annotated[
                str,
                typer.Argument(
                    metavar="STYLE", help="A selected style.", autocompletion=completion.complete_selected
                ),
            ]
        },
        find=find_others_style,
        printed=lambda facts: {"unselected": facts["found"]["model"]},
    ),
    Listing(
        "versions",
        "List a style's versions, newest first.",
        "/styles/{model}/versions",
        {
            "VERSION": "number",
            "STATUS": "status",
            "CREATED": lambda version: moment(version["created_at"]),
            "SIZE": lambda version: decimal(version["size_bytes"]),
            "": words_of_version,
        },
        parameters={"style": StyleArgument},
    ),
    Change(
        "promote",
        "Make a version the live version of its style.",
        "POST",
        "/styles/{model}/versions/{version}/promote",
        done="{model}@{version} is now live for {model}.",
        parameters={
            "style": StyleArgument,
            "version": VersionArgument,
        },
    ),
    Change(
        "rollback",
        "Roll back to the previous live version.",
        "POST",
        "/styles/{model}/rollback",
        done="{model}@{answer[number]} is live again for {model}.",
        parameters={"style": StyleArgument},
    ),
    Change(
        "retire",
        "Retire a version permanently. Its files are kept.",
        "POST",
        "/styles/{model}/versions/{version}/retire",
        done="{model}@{version} was retired.",
        parameters={"style": StyleArgument, "version": VersionArgument, **AT_ONCE},
        body=lambda facts: {"at_once": facts["at_once"]},
        question="Retire {model}@{version}? It can't return to service.",
    ),
)

keys_app = typer.Typer(name="keys", help="The workspace's API keys.", no_args_is_help=True)
for _row in KEYS:
    add_command(keys_app, _row)


def add_commands(app: typer.Typer, names: tuple[str, ...]) -> None:
    """Add those of the commands without a group."""
    for row in OTHERS:
        if row.name in names:
            add_command(app, row)
