"""The simulator's way to an instance: connections that stay open, and patience where it is asked for."""

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kilowatch.simulator.home.door import PATIENCE_S, Away, Doors


class Porter(BaseHTTPRequestHandler):
    """Answers with the status that the path names, and tells what it was sent and from which port."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = b"%s %d %s" % (self.headers["Authorization"].encode(), self.client_address[1], body)
        status = int(self.path.strip("/"))
        self.send_response(status)
        if status == 503:
            self.send_header("Retry-After", "7")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where a porter answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Porter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_answers_come_over_one_connection(url: str) -> None:
    with closing(Doors(url)) as doors:
        first, second = (doors.ask("POST", f"/{status}", "kw_x", b"hello") for status in (202, 404))
    assert (first.status, second.status, first.tag) == (202, 404, '"1"')
    assert first.body.startswith(b"Bearer kw_x ")
    assert first.body.endswith(b" hello")
    assert first.body == second.body, "the port is the same"


@pytest.mark.parametrize(("status", "wait_s"), [(503, 7.0), (429, PATIENCE_S), (500, PATIENCE_S)])
def test_who_is_asked_to_come_later_is_told_when(url: str, status: int, wait_s: float) -> None:
    with closing(Doors(url)) as doors:
        with pytest.raises(Away) as away:
            doors.ask("POST", f"/{status}", "kw_x")
        assert away.value.wait_s == wait_s
        assert doors.ask("POST", "/202", "kw_x").status == 202


def test_an_instance_that_is_not_there_is_away() -> None:
    with closing(Doors("http://127.0.0.1:1")) as doors, pytest.raises(Away):
        doors.ask("POST", "/202", "kw_x")
