"""Each action that the product audits has words for people."""

import ast
import re
from pathlib import Path

from tenants.audit_log import describe_action
from website.catalogs import ROOTS

ROOT = Path(__file__).parents[2]
AUDITS = {"audit", "record_audit", "record_command", "record_audits"}
CODE = re.compile(r"[a-z_]+\.[a-z_]+")


def find_actions() -> set[str]:
    found = set()
    sources = [file.read_text() for app in ROOTS for file in (ROOT / app).rglob("*.py")]
    for source in sources:
        if "audit" not in source and "record_command" not in source:
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and _name(node.func) in AUDITS:
                texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
                found |= {text for text in texts if isinstance(text, str) and CODE.fullmatch(text)}
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_action_has_words():
    actions = find_actions()
    assert len(actions) > 60
    assert {action for action in actions if describe_action(action) == action} == set()


def test_an_unknown_action_stays_as_it_is():
    assert describe_action("api_key.created") == "API key created"
    assert describe_action("api_key.melted") == "api_key.melted"
