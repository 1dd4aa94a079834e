"""Traces for OpenTelemetry: a span for each request, and for each try at a batch with its phases.

What a span says is ours: operation, status, error code, request id, sizes. Nothing in it comes out
of a path, a header or a body, so there is nothing secret in it and nothing of a customer's.
"""

from __future__ import annotations

import asyncio
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, set_span_in_context

from commerce.engine.tally import Try

PATH = "/v1/traces"
"""Where a collector takes traces, under its endpoint (OTLP/HTTP)."""
FLUSH_MILLISECONDS_MAX = 2_000
FAILED_FROM = 500


class Tracing:
    """Begins and ends the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("commerce")
        self._running: dict[str, Span] = {}
        self._ahead = time.time_ns() - time.perf_counter_ns()

    @classmethod
    def to(cls, endpoint: str) -> Tracing:
        """Traces that are sent to a collector; OTEL_* variables say the rest, as the SDK has it."""
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH)
        provider = TracerProvider(resource=Resource.create({SERVICE_NAME: "commerce"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def began(self, request_id: str, method: str) -> None:
        """Begin the span of a request."""
        attributes = {"commerce.request_id": request_id}
        span = self._tracer.start_span(method, kind=SpanKind.SERVER, attributes=attributes)
        self._running[request_id] = span

    def ended(self, request_id: str, operation: str, status: int | None, code: str | None) -> None:
        """End the span of a request."""
        span = self._running.pop(request_id)
        span.update_name(operation)
        span.set_attribute("commerce.operation", operation)
        if status is None:
            span.set_attribute("commerce.disconnected", value=True)
        else:
            span.set_attribute("http.response.status_code", status)
        if code is not None:
            span.set_attribute("error.type", code)
        if status is not None and status >= FAILED_FROM:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def tried(self, tried: Try) -> None:
        """Add the spans of one try at a batch, linked with the requests it is made of."""
        spans = tried.phases.spans
        ids = [work.command.caller.request_id for work in tried.works]
        requests = [span for id_ in ids if id_ and (span := self._running.get(id_))]
        batch = self._tracer.start_span(
            "batch",
            links=[Link(span.get_span_context()) for span in requests],
            start_time=spans[0].began + self._ahead,
            attributes={
                "commerce.batch.commands": len(tried.works),
                "commerce.batch.weight": sum(work.command.weight for work in tried.works),
                "commerce.batch.outcome": tried.outcome,
            },
        )
        within = set_span_in_context(batch)
        for phase, began, ended in spans:
            start = began + self._ahead
            self._tracer.start_span(phase, within, start_time=start).end(ended + self._ahead)
        batch.end(spans[-1].ended + self._ahead)
        for span in requests:
            span.add_link(batch.get_span_context())

    async def close(self) -> None:
        """Send what was not sent yet, if somebody takes it soon."""
        await asyncio.to_thread(self._provider.force_flush, FLUSH_MILLISECONDS_MAX)
        await asyncio.to_thread(self._provider.shutdown)
