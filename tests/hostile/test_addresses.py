"""Addresses that would lead the server to what only it can reach: nothing of that is ever connected to."""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from annotation import intake
from annotation.core.downloads import Downloader, DownloadLimits, DownloadRefused
from annotation.models import Photo, Refusal
from tests.factories import a_source
from tests.hostile.conftest import Tried

PUBLIC = "93.184.215.14"
OWN = [
    # one machine in all its spellings, as the system's resolver takes them
    *("127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1."),
    *("127.255.255.254", "0", "0.0.0.0", "000.000.000.000", "0x0", "localhost", "LOCALHOST", "localhost.", "LocalHost."),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2001:0:0:0:0:0:80ff:fffe]"),
    *("①②⑦.⓪.⓪.①", "１２７.０.０.１", "127。0。0。1", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "127.0.0.1%00.example.com", "%31%32%37.0.0.1"),
    # neighbours, metadata of clouds, and what is nobody's
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "0x0a.0.0.1", "167772161", "012.0.0.1"),
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "[ff02::1]", "[fe80::1]", "[fe80::1%25lo]", "[fe80::1%lo]"),
    *("[fc00::1]", "[fdff::1]", "[fec0::1]", "[2001:db8::1]", "[100::1]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]"),
]  # fmt: skip
NONSENSE = [
    *("file:///etc/passwd", "file://localhost/etc/passwd", "FILE:///etc/passwd", "ftp://{p}/1.jpg", "gopher://{p}:70/_x"),
    *("dict://{p}:11211/stats", "data:image/png;base64,aaaa", "javascript:alert(1)", "jar:http://{p}!/1.jpg", "ldap://{p}/"),
    *("ws://{p}/", "unix:///var/run/docker.sock", "http+unix://%2fvar%2frun/", "http:/{p}/", "http:///{p}/", "//{p}/", "{p}"),
    *("http://", "http://:80/", "http://?", "http://#", "http://user:secret@{p}/", "http://user@{p}/", "http://:@{p}/"),
    *("http://{p}:22/", "http://{p}:6379/", "http://{p}:5432/", "http://{p}:0/", "http://{p}:-1/", "http://{p}:99999/"),
    *("http://{p}:80:80/", "http://{p}:8 0/", "http://{p}:０/", "http://{p}/a b", "http://{p}/a\tb", "http://{p}/\r\nHost: x"),
    *("http://{p}/\nGET /secret HTTP/1.1", "http://{p}\r\nX: y/", "http://{p}/\0", "http://[::1/", "http://[{p}]/", "http://{p}\\@127.0.0.1/"),
    *("http://127.0.0.1\\@{p}/", "http://{p}#@127.0.0.1/", "http://127.0.0.1#@{p}/", "http://{p}@127.0.0.1/", "http://127.0.0.1 @{p}/"),
]  # fmt: skip


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where a connection would have been made to; none is."""
    asked: list[str] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        asked.append(address[0])
        raise ConnectionRefusedError("no network in tests")

    monkeypatch.setattr(socket, "create_connection", connect)
    return asked


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[str]) -> None:
    """Each look-up of a name gets the next answer; the last one stays."""
    left, real = list(answers), socket.getaddrinfo

    def look_up(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if not host.endswith(".example"):
            return real(host, port, *arguments, **options)
        found = left.pop(0) if len(left) > 1 else left[0]
        kinds = [socket.AF_INET6 if ":" in each else socket.AF_INET for each in found]
        return [(kind, socket.SOCK_STREAM, 6, "", (each, port)) for kind, each in zip(kinds, found, strict=True)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def fetched(url: str) -> bool:
    try:
        Downloader(sleep=lambda _: None).fetch(url)
    except DownloadRefused:
        return False
    return True


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_our_own_network_is_not_reached_however_it_is_spelled(scheme: str, connections: list[str], tried: Tried):
    for host in OWN:
        for rest in ("/", ":80/x.jpg", "/?u=http://public.example/"):
            url = f"{scheme}://{host}{rest}"
            connections.clear()
            tried(url, through=fetched(url) or bool(connections))


def test_what_is_no_address_of_a_picture_is_not_asked(
    connections: list[str], tried: Tried, monkeypatch: pytest.MonkeyPatch
):
    resolving(monkeypatch, [PUBLIC])
    for pattern in NONSENSE:
        url = pattern.format(p="public.example")
        connections.clear()
        # A connection to the public name itself is what anybody may do.
        tried(url, through=fetched(url) or any(each != PUBLIC for each in connections))


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])
def test_a_name_that_turns_private_is_not_followed(
    private: str, connections: list[str], tried: Tried, monkeypatch: pytest.MonkeyPatch
):
    for answers in ([[private]], [[PUBLIC, private]], [[private, PUBLIC]], [[PUBLIC], [private]]):
        connections.clear()
        resolving(monkeypatch, *answers)
        got = fetched("http://rebinding.example/1.jpg")
        tried((private, answers), through=got or any(not ipaddress.ip_address(each).is_global for each in connections))


# ---- a public server that answers with a redirect


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], list[str]]]:
    """Every connection is answered by these bytes; the list says where they went to."""
    resolving(monkeypatch, [PUBLIC])
    ends: list[socket.socket] = []

    def answer(reply: bytes) -> list[str]:
        asked: list[str] = []

        def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
            asked.append(address[0])
            ours, theirs = socket.socketpair()
            ends.extend((ours, theirs))
            threading.Thread(target=_say, args=(theirs, reply), daemon=True).start()
            return ours

        monkeypatch.setattr(socket, "create_connection", connect)
        return asked

    yield answer
    for each in ends:
        each.close()


def _say(end: socket.socket, reply: bytes) -> None:
    try:
        end.sendall(reply)
        end.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has heard enough


def test_a_redirect_leads_nowhere_else(answering: Callable[[bytes], list[str]], tried: Tried):
    targets = [f"http://{host}/" for host in OWN] + [each.format(p="public.example") for each in NONSENSE]
    for code in (301, 307):
        for target in targets:
            head = f"HTTP/1.1 {code} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
            asked = answering(head.encode("utf-8", "replace"))
            got = fetched("http://public.example/1.jpg")
            tried((code, target), through=got or any(each != PUBLIC for each in asked))


def test_a_server_cannot_fill_the_memory_or_hold_on_for_ever(answering: Callable[[bytes], list[str]], tried: Tried):
    ok = b"HTTP/1.1 200 OK\r\n"
    for name, reply in {
        "too much": ok + b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
        "more than it said": ok + b"\r\n" + b"x" * 3_000_000,
        "less than it said": ok + b"Content-Length: 50\r\n\r\nx",
        "a header without end": ok + b"X: " + b"x" * 3_000_000,
        "headers without end": ok + b"X: x\r\n" * 100_000,
        "pieces that lie": ok + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nx",
        "pieces below nothing": ok + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx",
        "packed": ok + b"Content-Encoding: gzip\r\nContent-Length: 2000000\r\n\r\n" + b"\x1f\x8b" + b"\0" * 1_999_998,
        "a length below nothing": ok + b"Content-Length: -5\r\n\r\n" + b"x" * 2_000_000,
        "no status": b"\r\n\r\n\r\n",
        "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
        "nothing": b"",
    }.items():
        answering(reply)
        with pytest.raises(DownloadRefused) as refused:
            Downloader(DownloadLimits(megabytes=1, seconds=5.0), sleep=lambda _: None).fetch("http://public.example/")
        tried(name, through=refused.value.code == "download_timeout")


@pytest.mark.django_db
def test_no_address_of_a_manifest_is_asked_unless_it_is_switched_on(
    tmp_path: Path, connections: list[str], tried: Tried, settings: Any
):
    settings.INTAKE_URLS = False
    urls = [f"http://{host}/1.jpg" for host in OWN[:20]] + [
        "https://public.example/1.jpg",
        "HTTP://public.example/2.jpg",
    ]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(["file,source_url", *(f'"{url}","{url}"' for url in urls)]))
    delivery = intake.start_intake(source=a_source(), kind="manifest", path=str(manifest), by=None)
    intake.take_in(delivery.pk)
    refused = set(Refusal.objects.filter(code="urls_off").values_list("file", flat=True))
    for url in urls:
        tried(url, through=url not in refused or bool(connections))
    assert not Photo.objects.exists()
