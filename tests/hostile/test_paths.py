"""Names that would lead out of their folder: nothing outside is read, and nothing outside is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import onnx
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from onnx import TensorProto, helper

from annotation import intake, releases
from annotation.core.datasets import readers
from annotation.core.datasets.entry import BadDataset, Unread
from annotation.core.folders import Found, walk
from annotation.core.release import BadRelease, open_release, write_release
from annotation.core.release_formats import coco, image_folder, table
from annotation.core.release_formats.entry import BadExport
from annotation.errors import BadIntake
from annotation.models import Intake, Photo, Refusal, User
from dager_site import environment
from inference.core import bundle as bundles
from inference.core.bundle import BadBundle
from inference.core.types import CropSpec
from tests.annotation.core.releases import a_jpeg, some_rows
from tests.annotation.test_releases import released, some_labelled
from tests.factories import a_source, a_user
from tests.hostile.conftest import Tried

pytestmark = pytest.mark.django_db
CANARY = b"nobody may read this"


def ways_out(secret: Path, inside: Path) -> list[str]:
    """Names that would reach `secret` from the folder `inside`, however they are spelled."""
    up = "../" * len(inside.parts)
    direct, rest = str(secret), str(secret).lstrip("/")
    sibling = f"../{secret.name}"
    plain = [
        direct,
        f"//{rest}",
        f"///{rest}",
        f"{up}{rest}",
        f"./{up}{rest}",
        f"x/../{up}{rest}",
        f"{up}{up}{rest}",
        sibling,
    ]
    plain += [
        f"./{sibling}",
        f"x/../{sibling}",
        f"x/y/../../{sibling}",
        f"link/{secret.name}",
        "link/../secret.jpg",
        "secret-link.jpg",
    ]
    odd = [each.replace("/", "\\") for each in plain] + [each.replace("../", "..\\/") for each in plain]
    odd += [quote(each, safe="") for each in plain[:6]] + [quote(quote(each, safe=""), safe="") for each in plain[:3]]
    odd += [each.replace("../", "....//") for each in plain] + [each.replace("../", "..;/") for each in plain[3:6]]
    odd += [each.replace(".", "\u2024") for each in plain[3:6]] + [each.replace("/", "\u2215") for each in plain[3:6]]
    odd += [f"{each}\0.jpg" for each in plain[:4]] + [
        f"file://{direct}",
        f"file:{direct}",
        f"~/{sibling}",
        f"$HOME/{sibling}",
    ]
    odd += [
        "/proc/self/environ",
        "/dev/stdin",
        "/dev/zero",
        "/etc/passwd",
        "|cat /etc/passwd",
        "C:\\Windows\\win.ini",
        "\\\\host\\share",
    ]
    return [*plain, *odd]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A picture outside, and a folder with links that lead to it."""
    path = tmp_path / "secret.jpg"
    path.write_bytes(a_jpeg(1, 64) + CANARY)
    inside = tmp_path / "inside"
    (inside / "x" / "y").mkdir(parents=True)
    (inside / "link").symlink_to(tmp_path)
    (inside / "secret-link.jpg").symlink_to(path)
    (inside / "1.jpg").write_bytes(a_jpeg(2, 64))
    return path


def kept_bytes() -> Iterator[bytes]:
    for photo in Photo.objects.all():
        with default_storage.open(photo.key) as file:
            yield file.read()


def took_the_secret() -> bool:
    return any(CANARY in each for each in kept_bytes())


def test_a_manifest_and_a_folder_take_nothing_from_outside(tmp_path: Path, secret: Path, tried: Tried):
    inside = tmp_path / "inside"
    names = ways_out(secret, inside)
    manifest = inside / "m.jsonl"
    manifest.write_text("\n".join(json.dumps({"file": each}) for each in [*names, "1.jpg"]))
    for kind, path, root in (("manifest", manifest, ""), ("manifest", manifest, str(inside)), ("folder", inside, "")):
        delivery = intake.start_intake(source=a_source(), kind=kind, path=str(path), root=root, by=None)
        intake.take_in(delivery.pk)
        delivery.refresh_from_db()
        assert delivery.state == "done", delivery.error
        taken = set(delivery.photos.values_list("file", flat=True))
        for name in names:
            tried((kind, root, name), through=took_the_secret() or name in taken)
    assert Photo.objects.count() == 1
    found = [each for each in walk(inside) if isinstance(each, Found)]
    assert {each.file for each in found} == {"1.jpg", "m.jsonl"}


def test_a_labelled_set_takes_nothing_from_outside(tmp_path: Path, secret: Path, tried: Tried):
    inside = tmp_path / "inside"
    names = [each for each in ways_out(secret, inside) if "\0" not in each]
    for n, name in enumerate(names):
        folder = tmp_path / f"set{n}"
        folder.mkdir()
        (folder / "link").symlink_to(tmp_path)
        (folder / "labels.csv").write_text(f'file,identity,gender\n"{name}",Ada,female\n')
        (folder / "fold_0_data.txt").write_text(
            f"user_id\toriginal_image\tface_id\tage\tgender\n{name}\t{name}\t1\t(25, 32)\tf\n"
        )
        (folder / "votes.csv").write_text(f'file,neutral,happiness\n"{name}",5,5\n')
        for layout, path in (
            ("csv", folder / "labels.csv"),
            ("adience", folder),
            ("imfdb", folder),
            ("ferplus", folder),
            ("folders", folder),
        ):
            try:
                read = [each for each in readers.read(layout, path) if not isinstance(each, Unread)]
                delivery = intake.start_intake(
                    source=a_source(), kind="labelled", path=str(path), layout=layout, by=None
                )
                intake.take_in(delivery.pk)
            except (BadDataset, BadIntake, OSError, ValueError) as error:
                tried((layout, name, type(error).__name__), through=False)
            else:
                tried((layout, name, len(read)), through=took_the_secret())


def test_an_upload_is_kept_under_no_name_of_its_own(secret: Path, tried: Tried):
    uploads = Path(settings.DATA_DIR) / "uploads"
    before = {each for each in Path(settings.DATA_DIR).rglob("*") if each.is_file()}
    client = Client()
    client.force_login(a_user())
    source = a_source()
    for n, name in enumerate(ways_out(secret, uploads)[::3]):
        sent = SimpleUploadedFile("x.jpg", a_jpeg(n + 10, 32), "text/html")
        sent._name = name  # past what Django makes of it
        taken = intake.take_upload(source=source, name=name, data=a_jpeg(n + 500, 32), by=None)
        place = (
            Path(default_storage.path(taken.photo.key)).resolve()
            if taken.photo
            else Path(settings.MEDIA_ROOT).resolve()
        )
        tried(name, through=not place.is_relative_to(Path(settings.MEDIA_ROOT).resolve()))
        for ending in (".zip", ".csv", ".tar.gz"):
            try:
                path = intake.keep_upload(name + ending, iter([b"x"]))
            except BadIntake:
                tried(name + ending, through=False)
            else:
                tried(name + ending, through=not path.resolve().is_relative_to(uploads.resolve()))
        response = client.post(f"/api/v1/sources/{source.pk}/photos", {"file": sent})
        tried((name, "sent"), through=response.status_code >= 500)
    after = {each for each in Path(settings.DATA_DIR).rglob("*") if each.is_file()}
    homes = (uploads, Path(settings.MEDIA_ROOT))
    assert [
        each
        for each in after - before
        if not any(each.is_relative_to(home) for home in homes) and "sqlite3" not in each.name
    ] == []


def test_no_address_opens_a_file_of_the_server(tmp_path: Path, secret: Path, tried: Tried, settings: Any):
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "releases", tmp_path / "models"
    client = Client(raise_request_exception=False)
    client.force_login(a_user(role=User.Role.ADMIN))
    some_labelled(1)
    release = released()
    names = ways_out(secret, Path("/static/annotation/x"))
    key = Path(settings.DATA_DIR) / "secret_key"
    key.exists() or key.write_text("kept")
    names += (
        ways_out(key, Path("/static/x"))[:16] + ways_out(Path(settings.BASE_DIR) / "manage.py", Path("/static/x"))[:16]
    )
    own = key.read_bytes()
    for n, name in enumerate(names):
        every = [
            f"/static/{name}", f"/static/annotation/{name}", f"/practice/1/{name}.jpg", f"/practice/1/{name}",
            f"/releases/{release.pk}/download/{name}", f"/models/judged/1/{name}.png", f"/{name}",
            f"/photos/{name}/file", f"/api/v1/releases/{release.pk}/download?layout={quote(name)}&by={quote(name)}",
            f"/static/..%2f..%2f{name}", f"/static/%2e%2e/{name}", f"/favicon.ico/{name}",
        ]  # fmt: skip
        for address in every[n % 6 :: 6]:  # each name meets a sixth of the addresses
            response = client.get(address)
            body = b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
            leaked = CANARY in body or own in body or b"execute_from_command_line" in body or b"root:x:" in body
            tried(address, through=leaked or response.status_code >= 500)


def test_a_release_lies_in_its_folder_whatever_it_is_called(tmp_path: Path, secret: Path, tried: Tried, settings: Any):
    settings.RELEASES_DIR = tmp_path / "releases"
    some_labelled(2)
    before = set(tmp_path.rglob("*"))
    # No door lets a NUL in: tests/hostile/test_requests.py.
    for name in [each[:90] for each in ways_out(secret, settings.RELEASES_DIR)[::3] if "\0" not in each]:
        try:
            made = released(name)
        except Exception as error:
            assert "BadReleaseQuery" in type(error).__name__ or "Release" in type(error).__name__, error
            tried(name, through=False)
            continue
        place = (settings.RELEASES_DIR / made.folder).resolve()
        downloaded = releases.tar_name(made, "csv")
        tried(
            name,
            through=not place.is_relative_to(settings.RELEASES_DIR)
            or place == settings.RELEASES_DIR
            or any(sign in downloaded for sign in '/\\"\r\n;'),
        )
    assert {
        each for each in set(tmp_path.rglob("*")) - before if not each.is_relative_to(settings.RELEASES_DIR)
    } == set()


def test_what_a_release_or_an_export_names_is_read_from_its_folder_only(tmp_path: Path, secret: Path, tried: Tried):
    release = write_release(tmp_path / "release", some_rows(3), name="x", query={})
    told = (release.folder / "release.json").read_text()
    names = ways_out(secret, release.folder)
    for name in names:
        content = json.loads(told)
        content["files"][0]["file"] = name
        (release.folder / "release.json").write_text(json.dumps(content))
        with pytest.raises(BadRelease):
            open_release(release.folder)
        tried((name, "release"), through=False)
    exported = tmp_path / "exported"
    for layout in (table, image_folder, coco):
        folder = exported / layout.__name__.rpartition(".")[2]
        (release.folder / "release.json").write_text(told)
        from_release = open_release(release.folder)
        for entry in layout.entries(from_release):
            path = folder / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(entry.content()))
        for file in [each for each in folder.rglob("*") if each.suffix in (".csv", ".jsonl", ".json")][:1]:
            text = file.read_text()
            for name in [each for each in names if "\0" not in each]:
                changed = (
                    text.replace("images/000000000001.jpg", name)
                    if layout is table
                    else text.replace("000000000001.jpg", json.dumps(name)[1:-1])
                )
                file.write_text(changed)
                try:
                    got = any(CANARY in face.image for face in layout.read(folder))
                except (BadExport, OSError, ValueError, KeyError):
                    got = False
                tried((layout.__name__, name), through=got)
            file.write_text(text)


def test_a_bundle_opens_no_weights_from_outside(tmp_path: Path, secret: Path, tried: Tried):
    weights = secret.with_name("weights.bin")
    weights.write_bytes(b"\0" * 4 * 16)
    for n, name in enumerate(ways_out(weights, tmp_path / "bundle")):
        folder = tmp_path / f"bundle{n}"
        folder.mkdir()
        (folder / "link").symlink_to(tmp_path)
        described = {
            "format": 1,
            "name": "x",
            "architecture": "onnx",
            "dimensions": 4,
            "crop": {"template": "arcface-112", "size": 112},
        }
        sha = "0" * 64
        (folder / "bundle.json").write_text(json.dumps(described | {"weights": [{"file": name, "sha256": sha}]}))
        with pytest.raises(BadBundle):
            bundles.load(folder)
        tried((name, "file"), through=False)
        if "\0" in name:
            continue
        # An ONNX file names its own numbers by a path.
        tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=name)
        picture = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [picture],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
            [tensor],
        )
        (tmp_path / "n.onnx").write_bytes(
            helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]).SerializeToString()
        )
        try:
            bundles.write_bundle(
                tmp_path / f"made{n}",
                [tmp_path / "n.onnx"],
                name="x",
                architecture="onnx",
                crop=CropSpec("arcface-112", 112),
                dimensions=4,
            )
        except Exception as error:
            # That it does not fit is told once it is read; that it is not there, or outside, before.
            through = "Unexpected input" in str(error) or "shape" in str(error)
            tried((name, "onnx", str(error)[:150]), through=through)
        else:
            tried((name, "onnx"), through=True)


def test_the_storage_itself_stays_in_its_folder(secret: Path, tried: Tried):
    for name in ways_out(secret, Path(settings.MEDIA_ROOT)):
        try:
            with default_storage.open(name) as file:
                got = CANARY in file.read()
        except (SuspiciousFileOperation, OSError, ValueError):
            got = False
        tried((name, "read"), through=got)
        try:
            kept = default_storage.save(name, ContentFile(b"x"))
            place = Path(default_storage.path(kept)).resolve()
            outside = not place.is_relative_to(Path(settings.MEDIA_ROOT).resolve())
            default_storage.delete(kept)
        except (SuspiciousFileOperation, OSError, ValueError):
            outside = False
        tried((name, "written"), through=outside or CANARY not in secret.read_bytes())


def test_a_path_of_the_environment_is_a_folder_or_is_refused_by_name(
    tmp_path: Path, tried: Tried, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    for value in (
        str(tmp_path / "file"),
        str(tmp_path / "file" / "below"),
        "/proc/nothing/x",
        "/dev/null",
        "/dev/null/x",
        "x" * 5_000,
    ):
        monkeypatch.setenv("DAGER_X", value)
        try:
            environment.folder("DAGER_X", tmp_path)
        except ImproperlyConfigured as error:
            tried(value, through="DAGER_X" not in str(error))
        else:
            tried(value, through=True)


def test_the_pages_take_in_from_the_folders_of_the_settings_only(
    tmp_path: Path, secret: Path, tried: Tried, settings: Any
):
    inside = tmp_path / "inside"
    settings.INTAKE_FOLDERS = [inside]
    client = Client()
    client.force_login(a_user())
    source = a_source()
    names = [
        *ways_out(secret, inside)[::2],
        str(tmp_path),
        f"{inside}/..",
        f"{inside}/link",
        f"{inside}-other",
        f"{inside}/../secret.jpg",
        "/",
        "",
        ".",
        "..",
        "/etc",
    ]
    for n, name in enumerate(names):
        kind = ("folder", "archive", "manifest")[n % 3]
        client.post(f"/sources/{source.pk}/intakes", {"path": name, "kind": kind})
        below = str(inside / name.lstrip("/"))
        client.post(f"/sources/{source.pk}/intakes", {"path": below, "kind": kind, "root": name})
    for delivery in Intake.objects.all():
        for path in (delivery.path, delivery.root):
            tried(path, through=bool(path) and not Path(path).resolve().is_relative_to(inside.resolve()))
    tried("nothing", through=Refusal.objects.exists())
