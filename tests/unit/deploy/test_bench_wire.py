"""Where a response ends, and which hosts may be loaded."""

import pytest

from deploy.bench.wire import (
    MalformedResponseError,
    Response,
    Target,
    parse_target,
    read_response,
    request_bytes,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_response_with_a_length_ends_after_its_body():
    assert read_response(OK) == Response(200, len(OK), True)


@pytest.mark.parametrize("missing", range(1, len(OK)))
def test_a_response_is_not_complete_while_bytes_are_missing(missing):
    assert read_response(OK[:-missing]) is None


def test_header_names_may_be_written_in_any_case():
    assert read_response(OK.replace(b"Content-Length", b"CONTENT-LENGTH")) == Response(200, len(OK), True)


def test_a_chunked_response_ends_after_its_last_chunk_and_trailers():
    whole = b"HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\na\r\n0123456789\r\n0\r\n\r\n"
    with_trailer = whole[:-2] + b"Expires: 0\r\n\r\n"
    assert read_response(whole) == Response(503, len(whole), True)
    assert read_response(with_trailer) == Response(503, len(with_trailer), True)
    assert all(read_response(whole[:length]) is None for length in range(len(whole)))


def test_an_interim_response_is_skipped():
    whole = b"HTTP/1.1 100 Continue\r\n\r\n" + OK
    assert read_response(whole) == Response(200, len(whole), True)
    assert read_response(whole[:30]) is None


def test_a_response_without_a_length_ends_with_the_connection():
    whole = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    assert read_response(whole) is None
    assert read_response(whole, at_end=True) == Response(200, len(whole), False)


def test_a_bodyless_status_ends_with_its_head():
    whole = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert read_response(whole) == Response(204, len(whole), True)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK"])
def test_a_connection_that_will_be_closed_is_recognised(head):
    response = read_response(head + b"\r\nContent-Length: 0\r\n\r\n")
    assert response is not None
    assert not response.keep_alive


@pytest.mark.parametrize(
    "data",
    [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n"],
)
def test_what_is_not_http_is_named_as_such(data):
    with pytest.raises(MalformedResponseError):
        read_response(data)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/predict", "http://127.9.9.9:8000/predict"])
def test_loopback_addresses_may_be_loaded(url):
    assert parse_target(url).port == 8000


@pytest.mark.parametrize("url", ["http://192.0.2.1/predict", "http://10.0.0.1:8000/", "http://0.0.0.0:80/"])
def test_other_hosts_may_not_be_loaded(url):
    with pytest.raises(ValueError, match="loopback"):
        parse_target(url)


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "127.0.0.1:8000", "file:///etc/passwd"])
def test_only_plain_http_is_spoken(url):
    with pytest.raises(ValueError, match="http://"):
        parse_target(url)


def test_a_request_carries_its_length_and_query():
    request = request_bytes(Target("127.0.0.1", 8000, "/feedback?actual_label=true"), b'{"a": 1}')
    assert request.startswith(b"POST /feedback?actual_label=true HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n")
    assert request.endswith(b'Content-Length: 8\r\n\r\n{"a": 1}')
