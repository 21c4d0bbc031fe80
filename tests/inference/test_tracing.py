"""Traces: one request's spans, by OpenTelemetry's conventions, on to the engine, and without its words."""

import json

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from inference import tracing
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import SHORT_WAITS
from tests.inference.fakes import chat

pytestmark = pytest.mark.proxy_settings(**SHORT_WAITS)
PROMPT = "A prompt that nobody else may read"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter.get_finished_spans
    tracing.shut_down()


def by_name(spans) -> dict:
    return {span.name: span for span in spans()}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_requests_stages_are_spans_and_the_engines_goes_on_to_vllm(client, engine, spans, stream):
    messages = [{"role": "user", "content": PROMPT}]
    await client.ask(
        chat(stream=stream, messages=messages), headers={"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    )
    found = by_name(spans)
    root = found["request"]
    model = "chat SmolLM2"
    assert set(found) == {"request", "admission", "queue", model}
    assert root.parent is None
    for name in ("admission", "queue", model):
        assert found[name].parent.span_id == root.context.span_id
        assert root.start_time <= found[name].start_time <= found[name].end_time <= root.end_time
    assert found["admission"].end_time <= found["queue"].end_time
    engines = found[model]
    assert engines.attributes["gen_ai.operation.name"] == "chat"
    assert engines.attributes["gen_ai.request.model"] == "SmolLM2"
    assert engines.attributes["gen_ai.usage.output_tokens"] == len(engine.words)
    [headers] = engine.headers
    context = engines.context
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    assert headers["traceparent"] == parent
    assert context.trace_id == root.context.trace_id
    written = json.dumps([json.loads(span.to_json()) for span in spans()])
    for word in (PROMPT, client.secret, "poetry"):
        assert word not in written


async def test_each_attempt_has_a_span_and_a_failed_one_says_why(client, account, spans):
    async with FakeVllm().serve() as url:
        account.offer("poetry", "http://127.0.0.1:1", url)
        await client.ask(chat())
    failed, answered = [span for span in spans() if span.name == "chat SmolLM2"]
    assert failed.attributes["error.type"] == "EngineUnavailable"
    assert "error.type" not in answered.attributes


async def test_a_refused_request_has_a_span_with_its_code(client, account, spans):
    await client.ask(chat(model="no-such-style"))
    [root] = spans()
    assert root.attributes["error.type"] == "model_not_found"


async def test_without_traces_the_engine_gets_no_traceparent(client, engine):
    await client.ask(chat())
    assert "traceparent" not in engine.headers[0]
