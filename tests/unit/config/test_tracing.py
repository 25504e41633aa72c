"""Tracing: off it is nothing, on it follows who asks, and its spans reach a collector."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from config import tracing
from config.errors import SettingInvalid
from config.otlp import OtlpTracing, otlp_tracing, read_traceparent, write_traceparent
from config.settings import Settings
from tests.traced import RecordedSpans, recorded_spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
ASKED = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_ASKED = f"00-{TRACE}-b7ad6b7169203331-00"


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as recorded:
        yield recorded


def test_switched_off_nothing_is_imported_and_nothing_is_made() -> None:
    code = (
        "import sys; from config import tracing; from config.settings import Settings;"
        "tracing.configure_tracing(Settings(), process='web');"
        "span = tracing.request_span('POST /predict', None);"
        "print(span.__enter__() == '', [m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.split(maxsplit=1) == ["True", "[]\n"]


def test_without_the_packages_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "config.otlp", None)

    with pytest.raises(SettingInvalid, match=r"tollgate\[tracing\]"):
        tracing.configure_tracing(Settings(otlp_endpoint="http://127.0.0.1:4318"), process="web")


def test_a_client_that_traces_is_followed_and_chance_picks_others(spans: RecordedSpans) -> None:
    with tracing.request_span("POST /predict", ASKED) as traceparent:
        assert tracing.current_traceparent() == traceparent
    with tracing.request_span("POST /predict", NOT_ASKED) as unasked, tracing.stage_span("predict") as stage:
        assert (unasked, stage, tracing.current_traceparent()) == ("", "", "")
    spans.trace_everything()
    with tracing.request_span("POST /predict", NOT_ASKED) as picked:
        assert TRACE in picked

    assert [span.name for span in spans.finished()] == ["POST /predict"] * 2


def test_what_belongs_to_no_trace_makes_no_span(spans: RecordedSpans) -> None:
    with tracing.linked_span("batch", links=["", "nonsense"]) as traceparent:
        assert traceparent == ""

    assert spans.finished() == []


def test_a_batch_is_linked_to_every_request_in_it(spans: RecordedSpans) -> None:
    with tracing.request_span("POST /predict", ASKED) as one, tracing.request_span("POST /predict", ASKED) as other:
        pass
    with tracing.linked_span("batch", links=[one, other]) as batch:
        pass
    with tracing.linked_span("score", parent=batch), tracing.stage_span("predict"):
        pass

    by_name = {span.name: span for span in spans.finished()}
    assert [write_traceparent(link.context) for link in by_name["batch"].links] == [one, other]
    assert by_name["score"].parent == read_traceparent(batch)
    assert by_name["predict"].parent == by_name["score"].context


@pytest.mark.parametrize("text", ["", "00-abc", f"00-{'0' * 32}-b7ad6b7169203331-01", "00-x-y-z", "a-b-c-d-e"])
def test_what_is_no_traceparent_names_no_span(text: str) -> None:
    assert read_traceparent(text) is None


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An address that takes spans, and what it was sent."""
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


def test_spans_reach_a_collector_under_the_name_of_their_process(collector: tuple[str, list[bytes]]) -> None:
    url, bodies = collector
    settings = Settings(otlp_endpoint=url, otlp_sample_ratio=1.0)
    made: OtlpTracing = otlp_tracing(settings, process="scoring")

    with made.request("POST /predict", None):
        pass
    made.provider.shutdown()

    [sent] = [ExportTraceServiceRequest.FromString(body).resource_spans[0] for body in bodies]
    attributes = {pair.key: pair.value.string_value for pair in sent.resource.attributes}
    assert attributes["service.name"] == "tollgate-scoring"
    assert [span.name for span in sent.scope_spans[0].spans] == ["POST /predict"]
