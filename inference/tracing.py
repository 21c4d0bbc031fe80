"""OpenTelemetry traces of requests, where TRACES_ENDPOINT is set: app → admission → queue → engine.

A request's span has the engine's as a child, whose id goes to vLLM as `traceparent`: vLLM's own spans follow
it. Names and attributes are those of OpenTelemetry's conventions for generative AI. Nothing that a client
wrote is in a span: the model is the base model, a style is its id.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.telemetry import RequestRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

SERVICE = "polyscribe-gateway"
PROVIDER = "vllm"
OPERATIONS = {"chat": "chat", "text": "text_completion"}


class TracesUnavailable(SystemExit):
    """TRACES_ENDPOINT is set and OpenTelemetry is not installed: `uv sync --group traces`."""


@dataclass
class _Tracing:
    """What spans are made with, and what sends them; neither while traces are off."""

    tracer: "Tracer | None" = None
    provider: "TracerProvider | None" = None


_tracing = _Tracing()


def configure(endpoint: str, *, ratio: float) -> None:
    """Send this process's spans to a collector, of so large a part of the requests. "" switches traces off.

    Raises TracesUnavailable.
    """
    if not endpoint:
        return use(None)
    try:  # a process without traces saves what these take to load
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415
    except ImportError as error:
        raise TracesUnavailable(TracesUnavailable.__doc__) from error
    provider = TracerProvider(
        sampler=TraceIdRatioBased(ratio), resource=Resource.create({"service.name": SERVICE})
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return use(provider)


def use(provider: "TracerProvider | None") -> None:
    """Make spans with a provider from now on; None: none."""
    _tracing.provider = provider
    _tracing.tracer = provider.get_tracer("polyscribe") if provider else None


def shut_down() -> None:
    """Send what is left. It blocks, for some seconds where the collector is away."""
    if _tracing.provider:
        _tracing.provider.shutdown()
        use(None)


class RequestTrace:
    """The spans of one request. Times are those of its record, since the request's arrival."""

    def __init__(self, tracer: "Tracer", request_id: str, kind: str) -> None:
        from opentelemetry import trace  # noqa: PLC0415

        self._trace = trace
        self._tracer = tracer
        self._operation = OPERATIONS.get(kind, kind)
        self._arrived_ns = time.time_ns()
        self._root = tracer.start_span(
            "request",
            kind=trace.SpanKind.SERVER,
            start_time=self._arrived_ns,
            attributes={"polyscribe.request_id": request_id},
        )
        self._engine: Span | None = None

    def begin_engine(self, base_model: str) -> str:
        """Begin the span of an engine's work; return the `traceparent` that the engine gets, "" for none."""
        self.fail_engine("")
        self._engine = self._tracer.start_span(
            f"{self._operation} {base_model}",
            context=self._trace.set_span_in_context(self._root),
            kind=self._trace.SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": self._operation,
                "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": base_model,
            },
        )
        context = self._engine.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def fail_engine(self, error_type: str) -> None:
        """End the engine's span, if one is open: another engine follows."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if error_type:
            self._mark_error(engine, error_type)
        engine.end()

    def end(self, record: RequestRecord) -> None:
        """End all spans with what is known of the request."""
        if self._engine:
            self._engine.set_attributes(
                {
                    "gen_ai.usage.input_tokens": record.prompt_tokens,
                    "gen_ai.usage.output_tokens": record.completion_tokens,
                    "server.address": record.engine,
                }
            )
        self.fail_engine(record.code)
        self._stage("admission", 0.0, record.admitted_s)
        if record.admitted_s is not None:
            self._stage("queue", record.admitted_s, record.sent_s)
        self._root.set_attributes(
            {
                "polyscribe.outcome": record.outcome,
                "polyscribe.style": record.style,
                "polyscribe.version": record.version,
                "polyscribe.adapter": record.adapter,
                "polyscribe.attempts": record.attempts,
            }
        )
        if record.code:
            self._mark_error(self._root, record.code)
        self._root.end()

    def _stage(self, name: str, began_s: float, ended_s: float | None) -> None:
        """Add the span of a stage that the request has left."""
        if ended_s is None:
            return
        span = self._tracer.start_span(
            name,
            context=self._trace.set_span_in_context(self._root),
            start_time=self._arrived_ns + int(began_s * 1e9),
        )
        span.end(self._arrived_ns + int(ended_s * 1e9))

    def _mark_error(self, span: "Span", error_type: str) -> None:
        span.set_attribute("error.type", error_type)
        span.set_status(self._trace.StatusCode.ERROR)


def begin(request_id: str, kind: str) -> RequestTrace | None:
    """Return the trace of a request, or None while traces are off."""
    tracer = _tracing.tracer
    return RequestTrace(tracer, request_id, kind) if tracer else None
