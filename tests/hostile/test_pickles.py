"""Files and messages that would run something by being read: each is refused or read as data, and nothing runs."""

import ast
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone
from kombu.serialization import loads

from annotation import gallery, reads
from annotation.core import manifests
from annotation.core.release import BadRelease, open_release, write_release
from annotation.models import Photo
from dager_site.cached import Json
from dager_site.celery import app as celery
from inference.core import bundle as bundles
from inference.core.bundle import BadBundle
from inference.core.types import CropSpec
from tests.annotation.core.releases import some_rows
from tests.factories import a_version
from tests.hostile.conftest import Tried
from training.core import checkpoint

pytestmark = [pytest.mark.django_db, pytest.mark.once]


class Run:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.trap),)


def test_nothing_of_ours_reads_pickles(tried: Tried):
    """No module imports what unpickles, or calls what may."""
    never = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle", "_pickle"}
    for app in ("annotation", "dager_site", "inference", "training"):
        for path in Path(settings.BASE_DIR, app).rglob("*.py"):
            found = set()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {each.name for each in node.names} & never
                elif isinstance(node, ast.ImportFrom):
                    found |= {node.module} & never
                elif isinstance(node, ast.Call):
                    last = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    called = ast.unparse(node.func) if last in ("load", "eval", "exec") else ""
                    allows = any(each.arg == "allow_pickle" or (each.arg == "weights_only") for each in node.keywords)
                    found |= {called} if called in ("torch.load", "eval", "exec", "yaml.load") or allows else set()
            tried(path.name, through=bool(found))


def payloads(trap: Path) -> dict[str, bytes]:
    """One object in each of the formats that a pickle comes in; unpickled, it makes the folder `trap`."""
    plain = pickle.dumps(Run(trap))
    objects = np.empty(1, object)
    objects[0] = Run(trap)
    by_torch, array, arrays = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"weight": Run(trap)}, by_torch)
    np.save(array, objects, allow_pickle=True)
    np.savez(arrays, line=objects, people=objects, counts=objects, lengths=objects, means=objects)
    head = json.dumps({"__metadata__": {"format": "pt"}, "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    return {
        **{f"pickle, protocol {n}": pickle.dumps(Run(trap), n) for n in range(6)},
        "torch": by_torch.getvalue(),
        "npy": array.getvalue(),
        "npz": arrays.getvalue(),
        "safetensors with a pickle behind": len(head).to_bytes(8, "little") + head.encode() + b"\0" * 4 + plain,
        "a length before a pickle": len(plain).to_bytes(8, "little") + plain,
    }


def harmless(call: Callable[[], object]) -> str:
    """What it says; that is all it does."""
    try:
        return f"read: {call()!r:.80}"
    except Exception as error:
        return type(error).__name__


def test_no_bundle_runs_anything(tmp_path: Path, tried: Tried):
    trap = tmp_path / "trap"
    for name, data in payloads(trap).items():
        for ending, architecture in (("safetensors", "mobilefacenet"), ("onnx", "onnx"), ("dat", "dlib-resnet")):
            weights = tmp_path / f"weights.{ending}"
            weights.write_bytes(data)
            crop = CropSpec("dlib-150", 150) if ending == "dat" else CropSpec("arcface-112", 112)
            told = harmless(
                lambda: bundles.write_bundle(
                    tmp_path / "bundle",
                    [weights],
                    name="x",
                    architecture=architecture,
                    crop=crop,
                    dimensions=128,
                )
            )
            tried((name, ending), through=trap.exists() or (tmp_path / "bundle").exists() or told.startswith("read"))
        folder = tmp_path / name
        folder.mkdir()
        (folder / "bundle.json").write_bytes(data)
        with pytest.raises(BadBundle):
            bundles.load(folder)
        tried((name, "description"), through=trap.exists())


def test_no_checkpoint_runs_anything(tmp_path: Path, tried: Tried):
    trap, network = tmp_path / "trap", torch.nn.Linear(1, 1)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    fresh = checkpoint.State(config="{}", examples="x")
    for name, data in payloads(trap).items():
        checkpoint.save(tmp_path, fresh, network, optimiser)
        told = json.loads((tmp_path / checkpoint.STATE).read_text())
        (tmp_path / told["weights"]).write_bytes(data)
        (tmp_path / checkpoint.BEST).write_bytes(data)
        harmless(lambda: checkpoint.load(tmp_path, network, optimiser, fresh))
        tried((name, "state"), through=trap.exists())
        harmless(lambda: checkpoint.load_best(tmp_path, network))
        tried((name, "best"), through=trap.exists())
        (tmp_path / checkpoint.STATE).write_bytes(data)
        harmless(lambda: checkpoint.load(tmp_path, network, optimiser, fresh))
        tried((name, "where it stands"), through=trap.exists())


def test_no_release_and_no_manifest_runs_anything(tmp_path: Path, tried: Tried):
    trap = tmp_path / "trap"
    release = write_release(tmp_path / "release", some_rows(4), name="x", query={})
    shard = release.path(release.shards[0])
    for name, data in payloads(trap).items():
        shard.write_bytes(data.ljust(release.shards[0].size, b"\0")[: release.shards[0].size])
        told = harmless(lambda: list(open_release(release.folder).faces()))
        tried((name, "shard"), through=trap.exists() or told.startswith("read"))
        (release.folder / "release.json").write_bytes(data)
        with pytest.raises(BadRelease):
            open_release(release.folder)
        tried((name, "description"), through=trap.exists())
        for ending in ("parquet", "csv", "jsonl", "tsv"):
            (tmp_path / f"m.{ending}").write_bytes(data)
            harmless(lambda: list(manifests.read(tmp_path / f"m.{ending}")))
            tried((name, ending), through=trap.exists())
        write_release(tmp_path / "release2", some_rows(4), name="x", query={}).folder.rename(tmp_path / f"r {name}")
        shutil_copy(tmp_path / f"r {name}", release.folder)
    # Arrow's extension types were unpickled as their file was opened, up to pyarrow 14 (CVE-2023-47248).
    plain = pickle.dumps(Run(trap))
    for kind in ("arrow.py_extension_type", "arrow.extension_type", "pandas"):
        said = {"ARROW:extension:name": kind, "ARROW:extension:metadata": plain, "pandas": plain}
        field = pa.field("file", pa.string(), metadata=said)
        pq.write_table(pa.table([["1.jpg"]], pa.schema([field], metadata=said)), tmp_path / "m.parquet")
        harmless(lambda: list(manifests.read(tmp_path / "m.parquet")))
        tried(kind, through=trap.exists())


def shutil_copy(of: Path, to: Path) -> None:
    for path in of.rglob("*"):
        if path.is_file():
            (to / path.relative_to(of)).write_bytes(path.read_bytes())


def test_no_gallery_runs_anything(tmp_path: Path, tried: Tried):
    trap, version = tmp_path / "trap", a_version()
    for name, data in payloads(trap).items():
        for ending in ("npz", "sure.json"):
            key = f"galleries/{version.checksum}.{ending}"
            default_storage.save(key, ContentFile(data))
            harmless(lambda: gallery.recognise(np.zeros((1, 4), np.float32), 1, version))
            tried((name, ending), through=trap.exists())
            default_storage.delete(key)


def test_no_message_session_cursor_or_cached_value_runs_anything(tmp_path: Path, tried: Tried):
    trap = tmp_path / "trap"
    for name, data in payloads(trap).items():
        for kind in (
            "application/x-python-serialize",
            "pickle",
            "application/json",
            "application/x-yaml",
            "text/plain",
            "application/data",
        ):
            harmless(lambda: loads(data, kind, "binary", accept=celery.conf.accept_content))
            tried((name, kind), through=trap.exists())
        key = f"{len(name):032d}"
        packed = signing.b64_encode(data).decode()
        for kept in (packed, signing.dumps(packed, salt="django.contrib.sessions.SessionStore"), data.hex()):
            Session.objects.update_or_create(
                session_key=key, defaults={"session_data": kept, "expire_date": timezone.now()}
            )
            harmless(lambda: SessionStore(key).load())
            tried((name, "session"), through=trap.exists())
        harmless(lambda: reads.page(Photo.objects.all(), order=["-pk"], cursor=packed))
        tried((name, "cursor"), through=trap.exists())
        harmless(lambda: Json().loads(data))
        tried((name, "cache"), through=trap.exists())
    assert settings.SESSION_SERIALIZER == "django.contrib.sessions.serializers.JSONSerializer"
    assert celery.conf.accept_content == ["json"]
    kept = {"photo 1": 1.5}, [1, 2], 3, True, None, "x"
    packed_all = [Json().dumps(each) for each in kept]
    assert [Json().loads(each if isinstance(each, bytes) else str(each).encode()) for each in packed_all] == list(kept)


def test_the_trap_works(tmp_path: Path):
    """Else all of the above would prove nothing."""
    for name, data in list(payloads(tmp_path / "trap").items())[:6]:
        pickle.loads(data)
        assert (tmp_path / "trap").exists(), name
        (tmp_path / "trap").rmdir()
