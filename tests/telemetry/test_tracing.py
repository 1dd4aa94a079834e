"""Traces: a span for each request and each try at a batch, linked, with nothing secret in them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from commerce.app import App
from commerce.installation import open_tracing
from commerce.kernel.master_key import MasterKey
from commerce.settings import Settings
from commerce.store.database import Database
from commerce.telemetry.tracing import Tracing
from tests.client import Client
from tests.process import Ran, Serve, commerce, environment, refused, wait_until
from tests.stage import BASE_URL, Stage

TRANSFER = "POST /stablecoin/transfer"
PHASES = ["begin", "load", "run", "write", "commit"]


class Traced:
    """A stage whose spans are kept."""

    def __init__(self, stage: Stage, exporter: InMemorySpanExporter) -> None:
        self.stage = stage
        self._exporter = exporter

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def clear(self) -> None:
        self._exporter.clear()

    def text(self) -> str:
        return "".join(span.to_json() for span in self._exporter.get_finished_spans())


@pytest.fixture
async def traced(stage: Stage) -> AsyncIterator[Traced]:
    """An app beside the stage's, traced, on the same database and clock."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = App(
        Database(stage.url, pool_size=2),
        Settings(data_dir=Path("nowhere"), network="both"),
        MasterKey.parse("07" * 32),
        base_url=BASE_URL,
        clock=stage.clock,
        tracing=Tracing(provider),
    )
    async with app.running(), Stage(app, stage.url, stage.clock).connected() as other:
        yield Traced(other, exporter)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_request_is_a_span_linked_with_the_batch_that_ran_it(
    stage: Stage, traced: Traced
) -> None:
    payer, friend = await stage.open_account(), await stage.open_account()
    await stage.fund(payer.wallet, "100.00")
    traced.clear()
    body = {"to": friend.wallet, "amount": "1.00", "memo": "a secret of ours"}
    reply = await traced.stage.ask(TRANSFER, payer.key, body, Idempotency_Key="hush")
    assert reply.status == 201

    (request,) = traced.spans(TRANSFER)
    assert request.kind is SpanKind.SERVER
    assert attributes(request) == {
        "commerce.request_id": reply.headers["request-id"],
        "commerce.operation": TRANSFER,
        "http.response.status_code": 201,
    }
    (batch,) = traced.spans("batch")
    assert attributes(batch) == {
        "commerce.batch.commands": 1,
        "commerce.batch.weight": 10,
        "commerce.batch.outcome": "kept",
    }
    assert [link.context for link in batch.links] == [request.context]
    assert [link.context for link in request.links] == [batch.context]
    phases = [traced.spans(phase)[0] for phase in PHASES]
    assert batch.context is not None
    for span in phases:
        assert span.parent is not None
        assert span.parent.span_id == batch.context.span_id
    times = [time for span in phases for time in (span.start_time, span.end_time)]
    assert None not in times
    known = [time for time in times if time is not None]
    assert known == sorted(known), "one phase follows the other"
    assert (batch.start_time, batch.end_time) == (known[0], known[-1])
    assert request.start_time is not None
    assert request.end_time is not None
    assert request.start_time <= known[0]
    assert known[-1] <= request.end_time
    said = traced.text()
    secrets = (payer.key, payer.id, payer.wallet, friend.wallet, "a secret of ours", "hush")
    assert not [secret for secret in secrets if secret in said]


async def test_requests_that_share_a_batch_are_all_linked_with_it(
    stage: Stage, traced: Traced
) -> None:
    payer, friend = await stage.open_account(), await stage.open_account()
    await stage.fund(payer.wallet, "100.00")
    await traced.stage.ask("GET /account", payer.key)
    traced.clear()
    body = {"to": friend.wallet, "amount": "0.10"}
    await asyncio.gather(*(traced.stage.ask(TRANSFER, payer.key, body) for _ in range(12)))
    batches, requests = traced.spans("batch"), traced.spans(TRANSFER)
    assert len(requests) == 12
    assert len(batches) < 12
    linked = [link.context.span_id for batch in batches for link in batch.links]
    contexts = [request.context for request in requests]
    assert sorted(linked) == sorted(context.span_id for context in contexts if context)


async def test_what_fails_and_who_goes_away_is_told_and_nothing_is_kept(
    stage: Stage, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = await stage.open_account()
    reply = await traced.stage.ask("GET /nowhere/secret-path", payer.key)
    assert reply.status == 404
    (lost,) = traced.spans("other")
    assert attributes(lost)["error.type"] == "route_missing"
    assert lost.status.status_code is StatusCode.UNSET
    assert "secret-path" not in traced.text()

    async def broken() -> bytes:
        raise ValueError("broken")

    monkeypatch.setattr(traced.stage.app.scrape, "text", broken)
    assert (await traced.stage.send("GET", b"/metrics", [])).status == 500
    (failed,) = traced.spans("GET /metrics")
    assert failed.status.status_code is StatusCode.ERROR
    assert attributes(failed)["error.type"] == "internal_error"

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def unheard(message: dict[str, Any]) -> None:
        raise AssertionError(message)

    head = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/v1/stablecoin/transfer",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {payer.key}".encode())],
        "client": None,
    }
    await traced.stage.app.http(head, gone, unheard)
    (left,) = traced.spans(TRANSFER)
    assert attributes(left)["commerce.disconnected"] is True
    tracing = traced.stage.app.tracing
    assert tracing is not None
    assert tracing._running == {}


class Collector:
    """A collector of our own: keeps what is sent to it."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.requests: list[ExportTraceServiceRequest] = []
        ours = self

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                ours.paths.append(self.path)
                ours.requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def names(self) -> list[str]:
        return [
            span.name
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def service_names(self) -> set[str]:
        return {
            attribute.value.string_value
            for request in list(self.requests)
            for resource in request.resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


async def test_a_server_sends_its_spans_to_the_collector_and_the_last_when_it_stops(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    with collecting() as collector:
        settings = {
            "COMMERCE_DATABASE_URL": database_url,
            "COMMERCE_OTLP_ENDPOINT": collector.endpoint,
        }
        server = await asyncio.to_thread(serve, data_dir, **settings)
        async with Client(server.url, server.sandbox["secret_key"]) as client:
            assert (await client.settle("POST /api_keys", {"type": "secret"})).status == 201
        assert await asyncio.to_thread(server.stop) == 0
        wait_until(lambda: "batch" in collector.names())
        assert {"POST /api_keys", "batch", *PHASES} <= set(collector.names())
        assert set(collector.paths) == {"/v1/traces"}
        assert collector.service_names() == {"commerce"}


@pytest.mark.slow
async def test_a_collector_that_is_away_holds_up_neither_answers_nor_the_end(
    data_dir: Path, serve: Serve, database_url: str
) -> None:
    settings = {
        "COMMERCE_DATABASE_URL": database_url,
        "COMMERCE_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    server = await asyncio.to_thread(serve, data_dir, **settings)
    async with Client(server.url, server.sandbox["secret_key"]) as client:
        assert (await client.ask("GET /account")).status == 200
    began = asyncio.get_running_loop().time()
    assert await asyncio.to_thread(server.stop) == 0
    assert asyncio.get_running_loop().time() - began < 10


def without_libraries(*arguments: str | Path, **settings: str) -> Ran:
    """Run a command where OpenTelemetry is not installed."""
    hidden = "import sys; sys.modules['opentelemetry'] = None; "
    code = hidden + "from commerce.__main__ import main; main()"
    return _ran(code, *arguments, **settings)


def _ran(code: str, *arguments: str | Path, **settings: str) -> Ran:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_traces_that_are_wanted_where_they_cannot_be_made_are_refused_in_one_line(
    command: str, data_dir: Path, database_url: str
) -> None:
    settings = {
        "COMMERCE_DATABASE_URL": database_url,
        "COMMERCE_OTLP_ENDPOINT": "http://127.0.0.1:4318",
    }
    said = refused(without_libraries(command, "--data-dir", data_dir, **settings))
    assert said.startswith("COMMERCE_OTLP_ENDPOINT needs OpenTelemetry: pip install")
    assert without_libraries("settings").status == 0


@pytest.mark.parametrize("wrong", ["collector:4318", "http://user:hush@collector", ""])
def test_an_endpoint_that_is_none_is_refused(wrong: str, data_dir: Path) -> None:
    ran = commerce("serve", "--data-dir", data_dir, COMMERCE_OTLP_ENDPOINT=wrong)
    assert refused(ran).startswith("COMMERCE_OTLP_ENDPOINT")
    assert "hush" not in ran.err


def test_where_nothing_is_traced_no_library_of_traces_is_loaded() -> None:
    code = "import sys, commerce.__main__; print('opentelemetry' in sys.modules)"
    assert _ran(code).out.strip() == "False"
    assert open_tracing(Settings()) is None
