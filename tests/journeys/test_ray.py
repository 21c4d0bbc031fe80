"""The whole product on a Ray cluster in vLLM's place: `make test-ray`."""

import hashlib
import json
import os
import re
import signal
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import openai
import psycopg
import pytest

from stack.engine import RAY
from stack.folders import ROOT, Folders
from stack.processes import TAG
from tests.journeys.conftest import Writer, run_engine_script
from tests.waiting import eventually
from trials.usage_records import UsageRecords

pytestmark = [
    pytest.mark.skipif(os.environ.get("ENGINE_KIND") != RAY, reason="for a Ray cluster: make test-ray"),
]

STYLE = ROOT / "engine" / "styles" / "legal"
REPLICA = "ray::ServeReplica:default:Replica"
PULLED = re.compile(r"Downloading s3://\S+/adapters/([0-9a-f-]{36}) to ")
QUESTION = "Describe a morning in the city."
MODELS = ("poetry", "genz", "legal", "base")
QUESTIONS = ("Why do people need sleep?", "How do clouds form?", "What is a bridge?")
TOKENS, AT_ONCE, ROUNDS = 24, 8, 5


@dataclass(frozen=True)
class Told:
    """One answer as its client got it."""

    text: str
    request_id: str
    completion_tokens: int
    headers: dict[str, str]


def told(writer: Writer, model: str, question: str, seed: int | None = None) -> Told:
    """Ask greedily, so that a seed changes nothing but which request it is; every failure is the test's."""
    asked = {"messages": [{"role": "user", "content": question}], "max_tokens": TOKENS, "temperature": 0}
    raw = writer.client.chat.completions.with_raw_response.create(
        model=model, **asked, seed=openai.omit if seed is None else seed
    )
    answer, headers = raw.parse(), dict(raw.headers)
    text, tokens = answer.choices[0].message.content or "", answer.usage.completion_tokens
    return Told(text, headers["x-request-id"], tokens, headers)


def replicas() -> set[int]:
    """Return the process ids of this stack's replicas."""
    tag = f"{TAG}={Path(os.environ['DEMO_SECRETS_FILE']).parent}"
    return {
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if content(folder / "cmdline").startswith(REPLICA) and tag in content(folder / "environ").split("\0")
    }


def content(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:  # the process is gone
        return ""


def pulled(replica: int) -> set[str]:
    """Return the versions that a replica has pulled to answer with them."""
    logs = Folders(Path(os.environ["DEMO_SECRETS_FILE"]).parent).var / "ray" / "session_latest" / "logs"
    (log,) = logs.glob(f"worker-*-{replica}.err")
    return set(PULLED.findall(log.read_text()))


def greedy_text(folder: Path) -> str:
    """Return what PEFT, without any server, answers to the question."""
    asked = json.dumps([{"adapter": str(folder), "prompt": QUESTION}])
    options = ["--base", os.environ["BASE_MODEL_DIR"], "--max-tokens", str(TOKENS)]
    return json.loads(run_engine_script("greedy.py", *options, stdin=asked))[0]


def test_an_upload_answers_and_says_what_wrote_it(demo):
    upload = demo.upload(STYLE)
    answer = told(demo, upload.model, QUESTION)
    assert answer.text == greedy_text(STYLE)
    assert answer.headers["x-polyscribe-style"] == upload.model
    assert answer.headers["x-polyscribe-engine"] == os.environ["ENGINE_NAME"]
    weights = (STYLE / "adapter_model.safetensors").read_bytes()
    assert answer.headers["x-polyscribe-adapter-sha256"] == hashlib.sha256(weights).hexdigest()


def test_a_stream_counts_its_tokens(demo):
    asked = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS, "temperature": 0}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(demo.client.chat.completions.create(model="poetry", **asked, **streamed))
    whole = told(demo, "poetry", QUESTION)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == whole.text
    assert chunks[-1].usage.completion_tokens == whole.completion_tokens
    assert {chunk.model for chunk in chunks} == {whole.headers["x-polyscribe-style"]}


def test_a_refusal_tells_nothing_of_the_cluster(demo):
    unknown_token = {"99999999": 1}
    with pytest.raises(openai.BadRequestError) as refused:
        demo.say("poetry", QUESTION, max_tokens=1, logit_bias=unknown_token)
    assert not re.search(r"ray|Request ID|exception", str(refused.value))


def test_styles_are_spread_over_replicas(demo, random_adapters):
    before = {replica: pulled(replica) for replica in replicas()}
    assert len(before) == int(os.environ["ENGINE_REPLICAS"])
    models = [demo.upload(folder).model for folder in random_adapters]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        twice = [model for model in models for _ in range(2)]
        texts = [answer.text for answer in pool.map(lambda model: told(demo, model, QUESTION), twice)]
    assert texts[::2] == texts[1::2]
    assert len(set(texts)) == len(models)
    new = [pulled(replica) - known for replica, known in before.items()]
    assert len(set.union(*new)) == len(models)
    assert min(map(len, new)) >= len(models) // 4


def test_a_killed_replica_costs_no_answer_but_those_that_it_had(demo):
    jobs = [(model, question) for model in MODELS for question in QUESTIONS]
    right = {job: told(demo, *job).text for job in jobs}
    before = replicas()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [(job, pool.submit(told, demo, *job, n)) for n, job in enumerate(jobs * ROUNDS)]
        await_some(future for _, future in asked)
        os.kill(min(before), signal.SIGKILL)
    failed = [error for _, future in asked if (error := future.exception())]
    answers = [(job, future) for job, future in asked if not future.exception()]
    # What it had when it died may be what killed it, so nobody sends that again.
    assert {getattr(error, "code", error) for error in failed} <= {"engine_stopped"}
    assert len(failed) <= AT_ONCE
    wrong = [(job, answer.result().text) for job, answer in answers if answer.result().text != right[job]]
    assert wrong == []
    eventually(
        lambda: len(replicas() - {min(before)}) == len(before), within_s=120, what="no new replica came"
    )
    assert_recorded([answer.result() for _, answer in answers])


def await_some(answers: Iterable[Future[Told]]) -> None:
    """Wait until a few answers are there, so that the load runs."""
    done = [answer.result() for answer, _ in zip(answers, range(AT_ONCE), strict=False)]
    assert all(one.text for one in done)


def assert_recorded(answers: list[Told]) -> None:
    """Every answer is in the ledger, once, with the tokens that its client was told."""
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        tenant = str(connection.execute("SELECT id FROM tenants_tenant WHERE name = 'Demo'").fetchone()[0])
    records, expected = UsageRecords(os.environ), {one.request_id: [one.completion_tokens] for one in answers}

    def recorded() -> bool:
        events = records.events([tenant])
        tokens = {key: [event.completion_tokens for event in events.get(key, [])] for key in expected}
        return tokens == expected and not records.left_open([tenant])

    eventually(recorded, within_s=60, what="the ledger lacks answers, or has more than were given")
    assert records.charged_twice([tenant]) == []
    assert records.disagreements([tenant]) == []
