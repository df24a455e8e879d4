"""The client says what the schema says, keeps asking a busy server, and labels a folder."""

import json
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from django.test import Client as Browser
from django.utils import timezone
from PIL import Image

from annotation import tasks
from annotation.core.drawn import draw_group, draw_portrait
from annotation.models import User
from inference import client
from inference.client import Client, NoAnswer, Refused
from tests.factories import a_user

NAMED = {
    "Box": client.Box, "Pose": client.Pose, "Quality": client.Quality, "Years": client.Years, "Choice": client.Choice,
    "Place": client.Place, "PredictedFace": client.PredictedFace, "UsedModel": client.UsedModel,
    "PredictedPhoto": client.PredictedPhoto, "Prediction": client.Prediction, "Refusal": client.Refusal,
    "OneOfBatch": client.OneOfBatch, "FaceVector": client.FaceVector, "Embedding": client.Embedding,
    "ComparedPhoto": client.ComparedPhoto, "Verification": client.Verification, "Candidate": client.Candidate,
    "SoughtFace": client.SoughtFace, "Search": client.Search, "Feedback": client.Feedback, "Model": client.Model,
}  # fmt: skip


@pytest.mark.django_db
def test_the_types_are_those_of_the_schema(client: Browser):
    client.force_login(a_user("eve", User.Role.ENGINEER))
    described = client.get("/api/schema?format=json").json()["components"]["schemas"]

    for name, declared in NAMED.items():
        hints = get_type_hints(declared)
        properties = described[name]["properties"]
        assert set(hints) == set(properties), name
        for field, kind in hints.items():
            assert told(kind) == described_as(properties[field]), f"{name}.{field}"


def told(kind: Any) -> tuple[str, bool]:
    """What JSON calls it, and whether it may be null."""
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (each for each in get_args(kind) if each is not NoneType)
        return told(inner)[0], True
    plain = {str: "string", int: "integer", float: "number", bool: "boolean", list: "array", dict: "object"}
    return plain.get(get_origin(kind) or kind, "object"), False


def described_as(field: dict[str, Any]) -> tuple[str, bool]:
    """The same of the schema; a reference is an object, or a choice of texts."""
    nullable = bool(field.get("nullable"))
    if "type" in field:
        return field["type"], nullable
    referred = field.get("$ref") or (field.get("allOf") or [{}])[0].get("$ref", "")  # none: any JSON, by us an object
    return ("string" if referred.endswith("Enum") or "oneOf" in field else "object"), nullable


# ---- against a server that answers as it is told to


class Scripted:
    """Answers one by one: a status, headers and a body; what was asked is kept."""

    def __init__(self) -> None:
        self.answers = list[tuple[int, dict[str, str], object]]()
        self.asked = list[tuple[str, dict[str, str], bytes]]()


@pytest.fixture
def server() -> Iterator[tuple[str, Scripted]]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((f"{self.command} {self.path}", dict(self.headers), body))
            status, headers, answer = script.answers.pop(0)
            if status == 0:  # the line breaks
                self.connection.close()
                self.close_connection = True
                return
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items() | {("Content-Length", str(len(content)))}:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/dager", script
        running.shutdown()


def test_a_busy_server_and_a_broken_line_are_asked_again_and_not_too_soon(server: tuple[str, Scripted]):
    address, script = server
    waited = list[float]()
    soon = format_datetime(timezone.now() + timezone.timedelta(seconds=30))
    script.answers = [
        (429, {"Retry-After": "7"}, {}), (0, {}, {}), (503, {"Retry-After": soon}, {}), (502, {}, b"<html>"),
        (200, {}, {"id": 1}),
    ]  # fmt: skip
    dager = Client(address, "secret", wait=waited.append)

    assert dager.correct(b"photo", "gender", "male", keep=True)["id"] == 1

    assert waited[0] == 7
    assert 0.5 * 2 <= waited[1] <= 1.5
    assert 20 < waited[2] <= 30
    assert 4 <= waited[3] <= 6
    paths, headers, bodies = zip(*script.asked, strict=True)
    assert set(paths) == {"POST /dager/api/v1/feedback"}
    assert {each["Authorization"] for each in headers} == {"Bearer secret"}
    assert len({each["Idempotency-Key"] for each in headers}) == 1  # made once, however often it was sent
    assert len(set(bodies)) == 1
    dager.close()


def test_a_refusal_is_final_and_an_absent_server_is_given_up(server: tuple[str, Scripted]):
    address, script = server
    envelope = {"error": {"code": "empty", "message": "0 bytes.", "field": "photo"}, "request_id": "r"}
    in_hand = {"error": {"code": "key_in_hand", "message": "."}, "request_id": "r"}  # its first try is being answered
    script.answers = [(409, {}, in_hand), (400, {}, envelope), (200, {}, b"not json"), *[(503, {}, {})] * 3]
    dager = Client(address, tries=3, wait=lambda _: None)

    with pytest.raises(Refused) as refused:
        dager.predict(b"")
    assert (refused.value.status, refused.value.code, refused.value.field) == (400, "empty", "photo")
    with pytest.raises(Refused, match="Is it DAGER"):
        dager.predict(b"")
    with pytest.raises(NoAnswer, match="3 tries; the last time: status 503"):
        dager.models()
    dager.close()
    for address in ("dager.example.org", "ftp://x", "http://"):
        with pytest.raises(ValueError, match="no address"):
            Client(address)


def test_many_photos_go_in_batches_that_the_server_takes(server: tuple[str, Scripted], monkeypatch: pytest.MonkeyPatch):
    address, script = server
    one = {"prediction": None, "error": {"code": "empty", "message": "."}}
    script.answers = [(200, {}, {"results": [one] * count}) for count in (64, 6)]
    dager = Client(address)
    assert len(list(dager.predict_all([b"x"] * 70))) == 70
    assert [body.count(b'name="photos"') for _, _, body in script.asked] == [64, 6]

    monkeypatch.setattr(client, "MOST_BYTES", 10)
    script.answers = [(200, {}, {"results": [one] * count}) for count in (2, 1, 1)]
    assert len(list(dager.predict_all([b"12345", b"12345", b"12345678901", b"1"]))) == 4
    dager.close()


def test_what_is_too_much_at_once_is_sent_in_halves(server: tuple[str, Scripted]):
    address, script = server
    told = lambda code: {"prediction": None, "error": {"code": code, "message": ".", "field": ""}}  # noqa: E731
    refused = {"error": {"code": "too_large", "message": "The request has 3 MB.", "field": ""}, "request_id": "r"}
    script.answers = [
        (413, {}, b"<html>a proxy"), (200, {}, {"results": [told("a")]}), (400, {}, refused),
        (400, {}, refused), (200, {}, {"results": [told("c")]}),
        (403, {}, {"error": {"code": "permission_denied", "message": "No."}}),
    ]  # fmt: skip
    dager = Client(address)
    codes = [each["error"]["code"] for each in dager.predict_all([b"a", b"bb", b"c"]) if each["error"]]
    assert codes == ["a", "too_large", "c"]
    with pytest.raises(Refused, match="No"):
        list(dager.predict_all([b"a", b"b"]))
    dager.close()


def test_a_photo_that_is_too_much_for_a_proxy_is_said_to_be(server: tuple[str, Scripted]):
    address, script = server
    script.answers = [(413, {}, b"<html>a proxy"), (413, {}, b"<html>a proxy")]
    dager = Client(address)
    with pytest.raises(Refused, match="takes less at once") as refused:
        dager.predict(b"a")
    assert refused.value.code == "too_large"
    (one,) = dager.predict_all([b"a"])
    assert one["error"]
    assert "proxy" in one["error"]["message"]
    dager.close()


@pytest.mark.parametrize("gives_up", ["the proxy", "the client"])
def test_what_is_not_done_in_time_is_not_sent_again_but_in_halves(monkeypatch: pytest.MonkeyPatch, gives_up: str):
    """A server goes on with what nobody waits for any more: the same again would make it slower still."""
    dager, sent = Client("http://dager.example.org", wait=lambda _: pytest.fail("asked again")), list[int]()

    def once(method: str, path: str, body: bytes, headers: object) -> tuple[int, bytes, str]:
        sent.append(body.count(b'name="photos"'))
        if sent[-1] <= 16:
            return 200, json.dumps({"results": [{"prediction": None, "error": None}] * sent[-1]}).encode(), ""
        if gives_up == "the client":
            raise TimeoutError("timed out")
        return 504, b"<html>a proxy", ""

    monkeypatch.setattr(dager, "_once", once)
    assert len(list(dager.predict_all([b"a photo"] * 128))) == 128
    assert sent == [64, 32, *[16] * 8]  # of the second batch no more are sent at once than were done in time


def test_a_line_that_the_server_ended_meanwhile_is_opened_anew_at_once(server: tuple[str, Scripted]):
    address, script = server
    waited = list[float]()
    script.answers = [(200, {}, {"id": 1}), (0, {}, {}), (0, {}, {}), (200, {}, {"id": 1})]
    dager = Client(address, wait=waited.append)
    dager.predict(b"photo")
    dager.predict(b"photo")
    assert len(waited) == 1  # for the second time that it broke
    dager.close()


# ---- against the server itself


@pytest.mark.django_db(transaction=True)
def test_three_lines_label_a_folder(live_server: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tasks, "feed_belt", lambda: None)
    for name, picture in (("a.jpg", draw_portrait(10368, 1)), ("deep/b.png", draw_group([10245, 11178], 3))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        content = BytesIO()
        picture.save(content, "PNG" if name.endswith("png") else "JPEG")
        (tmp_path / name).write_bytes(content.getvalue())
    (tmp_path / "c.jpg").write_text("no photo")
    (tmp_path / "d.jpg").write_bytes(b"")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "folder.jpg").mkdir()
    browser = Browser()
    browser.force_login(a_user("carol"))
    dager = Client(str(live_server))
    monkeypatch.setattr(dager, "_once", signed_in(dager, browser))

    labelled = {path.name: outcome for path, outcome in dager.label(tmp_path)}

    assert {name: len((each["prediction"] or {"faces": []})["faces"]) for name, each in labelled.items()} == {
        "a.jpg": 1, "b.png": 2, "c.jpg": 0, "d.jpg": 0, "gone.jpg": 0,
    }  # fmt: skip
    refused = {name: each["error"]["code"] for name, each in labelled.items() if each["error"]}
    assert refused == {"c.jpg": "not_a_picture", "d.jpg": "empty", "gone.jpg": "unreadable"}
    with pytest.raises(NotADirectoryError, match="is no folder"):
        dager.label(tmp_path / "nowhere")
    photo = tmp_path / "a.jpg"
    assert dager.verify(photo, photo)["same"]
    assert len(dager.embed(photo)["faces"][0]["vector"]) == 128
    assert dager.search(str(photo), most=1)["faces"][0]["identity"] is None
    face = dager.predict(photo)["faces"][0]
    given = dager.correct(photo, "emotion", "happy", keep=True, box=face["box_share"], predicted=face)
    assert (given["state"], given["value"]) == ("waiting", "happy")
    assert {each["task"] for each in dager.models()} == {"embedding", "gender", "apparent_age", "emotion"}
    with pytest.raises(Refused, match="no emotion"):
        dager.correct(photo, "emotion", "bored", keep=True)
    dager.close()


def signed_in(dager: Client, browser: Browser) -> Any:
    """A session in place of a token, which has its own tests."""
    once = dager._once
    cookies = {each.key: each.value for each in browser.cookies.values()} | {"csrftoken": "x" * 32}
    session = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "X-CSRFToken": "x" * 32}
    return lambda method, path, body, headers: once(method, path, body, {**headers, **session})


def test_no_picture_is_needed_to_read_this_module():
    assert Image  # what the tests draw with; the client itself is Python's own library alone
    source = Path(client.__file__).read_text()
    assert "django" not in source.lower()
    assert "import numpy" not in source
