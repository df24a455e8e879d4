import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotation.core.downloads import Downloader, DownloadLimits, DownloadRefused, is_public


class Site(BaseHTTPRequestHandler):
    """Answers by the path: what a hostile server may do."""

    def do_GET(self) -> None:
        if self.path == "/ok.jpg":
            self.reply(200, {"Content-Length": "4"}, b"data")
        elif self.path == "/private":
            self.reply(302, {"Location": "http://127.0.0.2/secret"})
        elif self.path == "/file":
            self.reply(302, {"Location": "file:///etc/passwd"})
        elif self.path == "/round":
            self.reply(302, {"Location": "/round"})
        elif self.path == "/short":
            self.reply(200, {"Content-Length": "400"}, b"data")
        elif self.path == "/endless":
            self.reply(200, {})
            for _ in range(200):
                self.wfile.write(b"x" * 100_000)
        elif self.path == "/slow":
            self.reply(200, {"Content-Length": "100"}, b"x")
            self.server.released.wait(10)  # type: ignore[attr-defined]
        else:
            self.reply(404, {})

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # the client hangs up on an endless body


@pytest.fixture
def site() -> Iterator[str]:
    with Quiet(("127.0.0.1", 0), Site) as server:
        server.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.released.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(site: str) -> Callable[..., bytes]:
    """Fetch a path of the site, for which alone loopback is allowed."""

    def get(path: str, **limits: object) -> bytes:
        ports = frozenset({int(site.rsplit(":", 1)[1]), 80})
        made = DownloadLimits(**({"pause": 0.0, "ports": ports} | limits))  # type: ignore[arg-type]
        return Downloader(made, allowed=lambda address: address == "127.0.0.1").fetch(site + path)

    return get


def code(call: Callable[[], bytes]) -> str:
    with pytest.raises(DownloadRefused) as refused:
        call()
    return refused.value.code


def test_a_public_file_is_fetched(fetch: Callable[..., bytes]):
    assert fetch("/ok.jpg") == b"data"


def test_a_redirect_to_a_private_address_is_refused(fetch: Callable[..., bytes]):
    assert code(lambda: fetch("/private")) == "private_address"
    assert code(lambda: fetch("/file")) == "bad_url"


def test_what_a_server_may_do_wrong_has_its_reason(fetch: Callable[..., bytes]):
    assert code(lambda: fetch("/nothing")) == "http_error"
    assert code(lambda: fetch("/round")) == "too_many_redirects"
    assert code(lambda: fetch("/short")) == "download_failed"
    assert code(lambda: fetch("/endless", megabytes=1)) == "too_large"
    assert code(lambda: fetch("/slow", seconds=0.3)) == "download_timeout"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1"),
        *("2002:7f00:0001::", "64:ff9b::7f00:1", "::"),
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str):
    assert not is_public(address)
    host = f"[{address}]" if ":" in address else address
    assert code(lambda: Downloader().fetch(f"http://{host}/")) in ("private_address", "download_failed")


def test_public_addresses_are_public():
    assert is_public("93.184.215.14")
    assert is_public("2606:2800:220:1::")


def test_a_name_that_resolves_to_a_private_address_too_is_refused(monkeypatch: pytest.MonkeyPatch):
    def resolved(*_: object, **__: object) -> list:  # type: ignore[type-arg]
        return [(2, 1, 6, "", (address, 80)) for address in ("93.184.215.14", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert code(lambda: Downloader().fetch("http://rebinding.example/")) == "private_address"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://x.example/1.jpg", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("http://user:secret@x.example/", "bad_url"),
        ("http://x.example:22/", "bad_port"),
        ("http://x.example:99999/", "bad_url"),
        ("http://x.example/a b", "bad_url"),
        ("http:///1.jpg", "bad_url"),
    ],
)
def test_addresses_that_make_no_sense_are_refused_unasked(url: str, reason: str):
    assert code(lambda: Downloader().fetch(url)) == reason


def test_one_host_is_asked_no_faster_than_allowed(site: str):
    pauses: list[float] = []
    port = int(site.rsplit(":", 1)[1])
    limits = DownloadLimits(pause=60.0, ports=frozenset({port}))
    downloader = Downloader(limits, allowed=lambda _: True, sleep=pauses.append)
    downloader.fetch(site + "/ok.jpg")
    downloader.fetch(site + "/ok.jpg")
    assert len(pauses) == 1
    assert 55 < pauses[0] <= 60
