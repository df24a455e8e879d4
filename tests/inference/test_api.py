"""A photo sent over REST: what comes back, what is refused, who may, and that nothing stays."""

import base64
import struct
import tempfile
import zlib
from io import BytesIO

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from PIL import Image, ImageFilter
from rest_framework.response import Response

from annotation.core.drawn import draw_group, draw_portrait
from annotation.models import User
from dager_site.logs import WithRequestId
from inference import predict, registry
from inference.core.attributes import ATTRIBUTES, EMOTION
from inference.core.bundle import Calibration
from tests.factories import a_user

pytestmark = pytest.mark.django_db

JSON = "application/json"


def bytes_of(picture: Image.Image) -> bytes:
    content = BytesIO()
    picture.save(content, "JPEG")
    return content.getvalue()


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return bytes_of(draw_portrait(10368, 1))


@pytest.fixture
def client(client):
    client.force_login(a_user("eve", User.Role.ENGINEER))
    return client


def sent(data: bytes, name: str = "photo.jpg") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, data, "image/jpeg")


def rows() -> dict[str, int]:
    counts = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT count(*) FROM {connection.ops.quote_name(table)}")
            counts[table] = cursor.fetchone()[0]
    return counts


def test_a_photo_comes_back_as_its_faces_with_all_that_is_said_of_them(client, portrait):
    answer = client.post("/api/v1/predict", {"photo": sent(portrait)})

    assert answer.status_code == 200
    told = answer.json()
    assert (told["width"], told["height"]) == (360, 420)
    (face,) = told["faces"]
    assert face["chosen"]
    box, share = face["box"], face["box_share"]
    assert share["x"] == pytest.approx(box["x"] / 360, abs=1e-4)
    assert share["height"] == pytest.approx(box["height"] / 420, abs=1e-4)
    assert len(face["landmarks"]) == 68
    assert set(face["emotion"]["distribution"]) == set(EMOTION.values)
    assert sum(face["gender"]["distribution"].values()) == pytest.approx(1, abs=1e-3)
    assert face["apparent_age"]["low"] <= face["apparent_age"]["mean"] <= face["apparent_age"]["high"]
    assert face["real_age"] is None  # no package ships a model for it
    assert not face["gender"]["calibrated"]
    assert set(told["models"]) == set(ATTRIBUTES) - {"real_age"}  # those that spoke
    assert told["models"]["gender"]["name"] == "dlib-gender"


def test_base64_in_json_says_the_same_as_a_file(client, portrait):
    text = base64.b64encode(portrait).decode()
    as_file = client.post("/api/v1/predict", {"photo": sent(portrait)}).json()

    assert client.post("/api/v1/predict", {"photo": text}, JSON).json() == as_file
    assert client.post("/api/v1/predict", {"photo": f"data:image/jpeg;base64,{text}"}, JSON).json() == as_file


def test_base64_may_have_its_lines_broken_and_be_as_large_as_a_photo_may(client, portrait):
    broken = base64.encodebytes(portrait).decode()
    large = base64.b64encode(portrait + bytes(2_000_000)).decode()  # what comes after a picture's end is no part of it

    assert "\n" in broken
    for text in (broken, large):
        assert len(client.post("/api/v1/predict", {"photo": text}, JSON).json()["faces"]) == 1


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"photos": [SimpleUploadedFile("a", b"x") for _ in range(101)]}, "100 files"),
        ({"photos": "a" * 1_100_000}, "1 MB"),
        ({f"field{number}": "a" for number in range(1001)}, "1000 fields"),
    ],
)
def test_a_form_that_is_more_than_django_reads_is_told_what_to_do(client, form, told):
    answer = client.post("/api/v1/predict/batch", form)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "parse_error")
    assert told in answer.json()["error"]["message"]


def test_whatever_a_picture_is_like_its_request_is_answered(client):
    portrait = draw_portrait(10368, 1)
    gray = np.asarray(portrait.convert("L")).astype(np.uint16)
    turned = Image.Exif()
    turned[0x112] = 6

    def told(picture: Image.Image, kind: str = "PNG", **more: object) -> tuple[int, int, int]:
        content = BytesIO()
        picture.save(content, kind, **more)
        answer = client.post("/api/v1/predict", {"photo": sent(content.getvalue())}).json()
        return answer["width"], answer["height"], len(answer["faces"])

    assert told(portrait.convert("CMYK"), "JPEG") == (360, 420, 1)
    assert told(Image.fromarray(gray * 257)) == (360, 420, 1)
    assert told(portrait.rotate(90, expand=True), "JPEG", exif=turned) == (360, 420, 1)
    assert told(portrait, "WEBP", save_all=True, append_images=[portrait]) == (360, 420, 1)
    for size in ((1, 1), (2, 3), (20_000, 1), (1, 20_000), (31, 700)):
        assert told(Image.new("RGB", size)) == (*size, 0)


def test_of_a_batch_each_succeeds_or_fails_alone(client, portrait):
    group = bytes_of(draw_group([10245, 11178], 3))
    answer = client.post("/api/v1/predict/batch", {"photos": [sent(portrait), sent(b"no picture"), sent(group)]})

    assert answer.status_code == 200
    one, refused, two = answer.json()["results"]
    assert len(one["prediction"]["faces"]) == 1
    assert (refused["prediction"], refused["error"]["code"]) == (None, "not_a_picture")
    assert len(two["prediction"]["faces"]) == 2
    assert two["error"] is None


def test_a_photo_of_a_batch_at_which_the_server_fails_fails_alone_and_tells_nothing_of_why(
    client, portrait, monkeypatch, caplog
):
    look = predict.look
    monkeypatch.setattr(predict, "look", lambda data, **more: look(data, **more) if data == portrait else 1 / 0)
    monkeypatch.setattr(caplog.handler, "filters", [WithRequestId()])

    answer = client.post("/api/v1/predict/batch", {"photos": [sent(portrait), sent(b"poison"), sent(portrait)]})

    assert answer.status_code == 200
    one, failed, other = answer.json()["results"]
    assert one["prediction"]["faces"] == other["prediction"]["faces"] != []
    assert (failed["prediction"], failed["error"]["code"], failed["error"]["field"]) == (
        None,
        "photo_failed",
        "photos.1",
    )
    assert "division" not in answer.content.decode()
    (record,) = [each for each in caplog.records if each.exc_info]
    assert "ZeroDivisionError" in record.exc_text
    assert record.request_id == answer.headers["X-Request-ID"]


def test_vectors_are_of_unit_length_and_tell_people_apart(client, portrait):
    def vector(data: bytes) -> list[float]:
        return client.post("/api/v1/embed", {"photo": sent(data)}).json()["faces"][0]["vector"]

    def cosine(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    one, again = vector(portrait), vector(bytes_of(draw_portrait(10368, 2)))
    other = vector(bytes_of(draw_portrait(10245, 1)))
    assert cosine(one, one) == pytest.approx(1, abs=1e-4)
    assert cosine(one, again) > 0.95 > cosine(one, other)


def test_two_photos_are_one_person_or_two_with_the_chance_that_this_is_wrong(client, portrait, monkeypatch):
    def verify(data: bytes, calibration: Calibration | None = None) -> dict:
        monkeypatch.setattr(registry, "calibration", lambda version: calibration)
        return client.post("/api/v1/verify", {"photo_a": sent(portrait), "photo_b": sent(data)}).json()

    again, other = bytes_of(draw_portrait(10368, 2)), bytes_of(draw_portrait(10245, 1))
    one, two = (verify(data, Calibration(slope=150.0, intercept=-140.0)) for data in (again, other))

    assert (one["same"], two["same"]) == (True, False)
    assert one["similarity"] > one["threshold"] > two["similarity"]
    for told in (one, two):
        right = told["probability"] if told["same"] else 1 - told["probability"]
        assert told["chance_of_error"] == pytest.approx(1 - right, abs=1e-4)
        assert (told["calibrated"], told["abstained"]) == (True, False)
    assert not verify(again)["calibrated"]  # nobody knows whom the one that ships had seen
    assert (one["photo_a"]["width"], one["photo_a"]["faces"]) == (360, 1)
    assert len(one["photo_b"]["face"]["landmarks"]) == 68
    assert one["model"]["name"] == "dlib-resnet"
    sure = verify(other, Calibration(slope=1.0, intercept=-0.5))
    assert sure["chance_of_error"] == pytest.approx(1 - 1 / (1 + np.exp(0.5 - two["similarity"])), abs=1e-3)


def test_a_verdict_needs_a_face_in_each_photo_that_can_be_made_out(client, portrait):
    nobody = bytes_of(Image.new("RGB", (300, 300), "gray"))
    blurred = bytes_of(draw_portrait(10368, 2).filter(ImageFilter.GaussianBlur(9)))

    def verify(**photos: bytes) -> Response:
        return client.post("/api/v1/verify", {name: sent(data) for name, data in photos.items()})

    for photos, code, field in (
        ({"photo_a": portrait}, "missing", "photo_b"),
        ({"photo_b": portrait}, "missing", "photo_a"),
        ({"photo_a": portrait, "photo_b": nobody}, "no_face", "photo_b"),
        ({"photo_a": b"GIF8", "photo_b": portrait}, "not_a_picture", "photo_a"),
    ):
        answer = verify(**photos)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert answer.json()["error"]["field"] == field
    assert verify(photo_a=portrait, photo_b=blurred).json()["abstained"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing"),
        ({"photo": "no base64!"}, "not_base64"),
        ({"photo": 7}, "not_base64"),
        ({"photo": ["a"]}, "not_base64"),
        ({"photo": ""}, "empty"),
        ({"photo": base64.b64encode(b"GIF89a").decode()}, "not_a_picture"),
        ([], "missing"),
    ],
)
def test_what_is_no_photo_is_refused_with_a_code_and_the_field(client, body, code):
    answer = client.post("/api/v1/predict", body, JSON)

    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["field"]) == (code, "photo")
    assert answer.json()["request_id"]


@pytest.mark.parametrize(
    "body", [{}, {"photos": []}, {"photos": "x"}, {"photos": {"a": 1}}, [1], {"photos": ["x"] * 65}]
)
def test_what_is_no_batch_is_refused(client, body):
    answer = client.post("/api/v1/predict/batch", body, JSON)

    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "photos"


def test_a_batch_of_nonsense_is_answered_one_by_one(client):
    answer = client.post("/api/v1/predict/batch", {"photos": [None, 3, {}, "?", ""]}, JSON)

    errors = [each["error"] for each in answer.json()["results"]]
    assert [each["code"] for each in errors] == ["not_base64"] * 4 + ["empty"]
    assert [each["field"] for each in errors] == [f"photos.{index}" for index in range(5)]


def test_a_bomb_costs_its_own_request_and_says_the_way_out(client, portrait):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    def png(width: int, height: int, rows: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    bombs = {
        "too_many_pixels": (png(60_000, 60_000, bytes(10**6)), "Reduce it"),
        "damaged": (portrait[: len(portrait) // 2], "Fetch it again"),
        "not_a_picture": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Convert it"),
        "empty": (b"", "Fetch it again"),
    }
    for code, (data, way_out) in bombs.items():
        answer = client.post("/api/v1/predict", {"photo": base64.b64encode(data).decode()}, JSON)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["field"]) == (400, code, "photo")
        assert way_out in error["message"]
        assert client.post("/api/v1/predict", {"photo": sent(portrait)}).status_code == 200
    deep = client.post("/api/v1/predict", '{"photo": ' + "[" * 200_000 + "]" * 200_000 + "}", JSON)
    assert (deep.status_code, deep.json()["error"]["code"]) == (400, "parse_error")


def test_a_request_of_too_many_bytes_is_refused_before_it_is_read(client, portrait, settings):
    settings.PREDICT_REQUEST_MB = 0
    answer = client.post("/api/v1/predict", {"photo": sent(portrait)})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_large")
    assert "DAGER_REQUEST_MB" in answer.json()["error"]["message"]


def test_nothing_of_a_photo_is_kept(client, portrait, settings, monkeypatch, tmp_path):
    for call in ("predict", "embed"):
        client.post(f"/api/v1/{call}", {"photo": sent(portrait)})  # the shipped models get their rows
    before = rows(), sorted(settings.DATA_DIR.rglob("*"))
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 10  # so that Django's own handler would write a file
    settings.FILE_UPLOAD_TEMP_DIR = None  # where the system has its own
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    touched = tmp_path.stat().st_mtime_ns

    calls = {"predict": ["photo"], "embed": ["photo"], "predict/batch": ["photos"], "verify": ["photo_a", "photo_b"]}
    for call, names in calls.items():
        assert client.post(f"/api/v1/{call}", {name: sent(portrait) for name in names}).status_code == 200

    assert (rows(), sorted(settings.DATA_DIR.rglob("*"))) == before
    assert tmp_path.stat().st_mtime_ns == touched  # no file was ever there, not even for a moment


@pytest.mark.parametrize("call", ["predict", "predict/batch", "embed", "verify"])
def test_only_who_browses_may_ask_the_machine(client, call):
    client.force_login(a_user("ann", User.Role.ANNOTATOR))  # would see what is asked of them blind
    assert client.post(f"/api/v1/{call}", {}, JSON).status_code == 403
    client.logout()
    assert client.post(f"/api/v1/{call}", {}, JSON).status_code == 401


def test_the_schema_describes_every_field(client, capsys):
    schema = client.get("/api/schema?format=json").json()

    assert set(schema["paths"]["/api/v1/predict"]["post"]["requestBody"]["content"]) == {"multipart/form-data", JSON}
    assert "identical names" not in capsys.readouterr().err
    described = schema["components"]["schemas"]
    for name in ("Years", "Choice", "Quality", "Pose", "PredictedFace"):
        assert name in described
    assert "years" in described["Years"]["properties"]["mean"]["description"]


def test_a_length_that_is_no_number_is_no_fault_of_the_server(client):
    for odd in ("x", "-5", "\u0665", "9" * 30):
        assert client.post("/api/v1/predict", {}, CONTENT_LENGTH=odd).status_code == 400


def test_the_models_that_are_told_are_those_that_spoke(client, portrait, monkeypatch):
    """Asked for once: should another go live in the middle, the answer is still of one, and says which."""
    asked = []
    for name in ("ensure_attributes", "ensure_live"):
        own = getattr(registry, name)
        monkeypatch.setattr(registry, name, lambda own=own, name=name: asked.append(name) or own())
    for call, sent_as, name in (
        ("predict", "photo", "ensure_attributes"),
        ("predict/batch", "photos", "ensure_attributes"),
        ("embed", "photo", "ensure_live"),
        ("verify", "photo_a photo_b", "ensure_live"),
    ):
        asked.clear()
        body = {field: sent(portrait) for field in sent_as.split()}
        assert client.post(f"/api/v1/{call}", body).status_code == 200
        assert asked == [name], call
