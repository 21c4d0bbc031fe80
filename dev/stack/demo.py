"""`make demo`: the whole of Polyscribe on this machine, until Ctrl-C."""

import sys
from pathlib import Path

from stack import bootstrap, services
from stack.errors import Interrupted
from stack.folders import ROOT, Folders, shown
from stack.processes import POLL_S, Program
from stack.services import Stack
from stack.steps import Steps
from stack.whole import Seeded, bring_up

OPERATOR = {  # terms, privacy and contacts need one; a person's own values win
    "OPERATOR_NAME": "Polyscribe demo",
    "OPERATOR_ADDRESS": "A demo on one machine|not offered to the public",
    "OPERATOR_EMAIL": "demo@example.com",
    "SUPPORT_EMAIL": "demo@example.com",
}


def demo(var: Path | None) -> int:
    """Start everything, tell where it is, keep it up until Ctrl-C; return 0. Raises StackError."""
    steps = Steps()
    try:
        with services.opened(Folders((var or ROOT / "var").absolute()), steps) as stack:
            stack.variables = {**OPERATOR, **stack.variables}
            steps.say(expectation(stack))
            seeded = bring_up(stack, with_sample=True)
            make_guides(stack)
            steps.say(announcement(stack, seeded))
            while True:
                stack.supervisor.revive()
                stack.supervisor.stopping.wait(POLL_S * 5)
    except Interrupted:
        steps.say("Everything has stopped.")
        return 0


def make_guides(stack: Stack) -> None:
    """Begin to make the guides' pages where they are not there: until then, the site says so."""
    if bootstrap.are_guides_stale():
        argv = [sys.executable, str(ROOT / bootstrap.GUIDES)]
        stack.supervisor.start(Program("guides", "the guides", argv, wrapper=("nice",), is_optional=True))


def expectation(stack: Stack) -> str:
    """Return the line that tells how long the start takes, as measured on two processor cores."""
    is_first = not Path(stack.variables["DEMO_SECRETS_FILE"]).exists()
    usual = "The first time, this takes up to two minutes" if is_first else "This takes up to a minute"
    return f"Starting the database, storage, vLLM and the site. {usual}, longer with a large model."


def announcement(stack: Stack, seeded: Seeded) -> str:
    """Return the text that tells a newcomer where everything is, with a curl that works as pasted."""
    site = stack.addresses.site
    return f"""
Polyscribe is ready after {stack.steps.elapsed_s:.0f} s.

  Open      {site}
  Log in    {seeded.login}   {seeded.password}
  Console   {site}/console/   for operators; this login is one
  API key   {seeded.api_key}
  Logs      {shown(stack.folders.logs)}/

Ask for a poem:

  curl {site}/v1/chat/completions \\
    -H 'Authorization: Bearer {seeded.api_key}' -H 'Content-Type: application/json' \\
    -d '{{"model": "poetry", "temperature": 0.8,
      "messages": [{{"role": "user", "content": "Describe the rain."}}]}}'

Or in Python, with the official client (pip install openai):

  export OPENAI_BASE_URL={site}/v1 OPENAI_API_KEY={seeded.api_key}

  from openai import OpenAI

  client = OpenAI()
  answer = client.chat.completions.create(
      model="poetry", messages=[{{"role": "user", "content": "Describe the rain."}}], temperature=0.8
  )
  print(answer.choices[0].message.content)

Anthropic's clients take the base URL {site} and the same key.

Ctrl-C stops everything; the data stays in {shown(stack.folders.var)}/ for the next time.
"""
