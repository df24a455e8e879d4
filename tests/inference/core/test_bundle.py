import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.core.bundle import (
    BadBundle,
    Bundle,
    Calibration,
    WeightFile,
    cold_start,
    load,
    open_embedder,
    write_bundle,
)
from inference.core.types import CropSpec


def a_bundle(folder: Path) -> Bundle:
    """The cold start's network, as a folder."""
    cold = cold_start()
    return write_bundle(
        folder,
        [cold.main_weights],
        name="mine",
        architecture="dlib-resnet",
        crop=cold.crop,
        dimensions=cold.dimensions,
        calibration=Calibration(slope=40, intercept=-36),
        licence="CC0-1.0",
    )


def described(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((folder / "bundle.json").read_text())
    return content


def rewrite(folder: Path, changes: dict[str, object]) -> None:
    (folder / "bundle.json").write_text(json.dumps(described(folder) | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return a_bundle(tmp_path / "mine").folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written = a_bundle(tmp_path / "bundles" / "mine")

    assert load(tmp_path / "bundles" / "mine") == written
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["mine"]


def test_a_bundle_embeds_like_what_it_was_made_of(folder: Path) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3)).astype(np.uint8)

    vectors = open_embedder(replace(load(folder), flip=True)).embed(crops)

    np.testing.assert_array_equal(vectors, open_embedder(cold_start()).embed(crops))


def test_the_cold_start_needs_no_folder() -> None:
    bundle = cold_start()

    assert bundle.crop == CropSpec("dlib-150", 150)
    assert bundle.licence == "CC0-1.0"
    assert open_embedder(bundle).dimensions == bundle.dimensions == 128


def test_the_checksum_is_that_of_the_content_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    bundle = load(folder)

    assert a_bundle(tmp_path / "elsewhere").checksum == bundle.checksum
    assert replace(bundle, name="other").checksum != bundle.checksum
    assert replace(bundle, calibration=None).checksum != bundle.checksum


def test_a_bundle_is_never_overwritten(folder: Path) -> None:
    with pytest.raises(FileExistsError, match="never edited"):
        a_bundle(folder)


def test_a_bundle_that_does_not_run_leaves_nothing_behind(tmp_path: Path) -> None:
    nonsense = tmp_path / "network.onnx"
    nonsense.write_bytes(b"not a network")

    with pytest.raises(Exception, match=r"network\.onnx"):
        write_bundle(
            tmp_path / "bundles" / "mine",
            [nonsense],
            name="mine",
            architecture="onnx",
            crop=CropSpec("arcface-112", 112),
            dimensions=128,
        )

    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_changed_weight_file_is_noticed(folder: Path) -> None:
    weights = next(folder.glob("*.dat"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)

    with pytest.raises(BadBundle, match="damaged or was changed"):
        load(folder)


def test_a_missing_weight_file_is_noticed(folder: Path) -> None:
    next(folder.glob("*.dat")).unlink()

    with pytest.raises(BadBundle, match="lacks its weight file"):
        load(folder)


def test_a_linked_weight_file_is_refused(folder: Path, tmp_path: Path) -> None:
    weights = next(folder.glob("*.dat"))
    weights.rename(tmp_path / "outside.dat")
    weights.symlink_to(tmp_path / "outside.dat")

    with pytest.raises(BadBundle, match="lacks its weight file"):
        load(folder)


@pytest.mark.parametrize("file", ["../outside.dat", "/etc/passwd", "a/b.onnx", "..", "", "c:\\x.onnx", "bundle.json"])
def test_weights_cannot_lie_outside_of_the_folder(folder: Path, file: str) -> None:
    rewrite(folder, {"weights": [{"file": file, "sha256": "0" * 64}]})

    with pytest.raises(BadBundle, match="plain file name"):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"calibratoin": None}, "unknown key 'calibratoin'. Did you mean 'calibration'?"),
        ({"folder": "/tmp"}, "unknown key 'folder'"),
        ({"crop": {"template": "dlib-150", "sise": 150}}, "Did you mean 'size'?"),
        ({"crop": {"template": "dlib-160", "size": 150}}, "no crop template 'dlib-160'. Did you mean 'dlib-150'?"),
        ({"architecture": "onxx"}, "no architecture 'onxx'. Did you mean 'onnx'?"),
        ({"architecture": ["onnx"]}, "architecture must be text"),
        ({"channels": "grb"}, "no order of channels 'grb'"),
        ({"task": "emotions"}, "no task 'emotions'. Did you mean 'emotion'?"),
        ({"task": "gender", "values": ["female", "woman"]}, "The values of gender are female, male, not female, woman"),
        ({"task": "real_age", "values": ["0", "2", "1"]}, "years from 0 to 116"),
        ({"values": ["female", "male"]}, "An embedding has no values"),
        ({"temperature": 0}, "temperature is above 0"),
        ({"metrics": []}, "metrics must be an object"),
        ({"metrics": {"a": [float("nan")]}}, "metrics has a number that is not finite"),
        ({"metrics": {"a": "\0"}}, "metrics must be an object"),
        ({"name": "x" * 101}, "1 to 100 letters"),
        ({"name": ""}, "1 to 100 letters"),
        ({"card": "a\0b"}, "card must be text"),
        ({"dimensions": True}, "dimensions must be a whole number"),
        ({"dimensions": 0}, "must be from 1 to 4096"),
        ({"mean": [0, 0]}, "three numbers"),
        ({"mean": [0, 0, float("nan")]}, "finite number"),
        ({"deviation": [1, 1, 0]}, "above zero"),
        ({"flip": "no"}, "true or false"),
        ({"calibration": {"slope": 1}}, "lacks the key 'intercept'"),
        ({"format": 2}, "format 2 is not known"),
        ({"weights": []}, "at least one weight file"),
    ],
)
def test_what_is_not_understood_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    rewrite(folder, changes)

    with pytest.raises(BadBundle) as refused:
        load(folder)

    assert message in str(refused.value)


@pytest.mark.parametrize("key", ["name", "architecture", "crop", "dimensions", "weights", "format"])
def test_a_missing_key_is_named(folder: Path, key: str) -> None:
    content = described(folder)
    del content[key]
    (folder / "bundle.json").write_text(json.dumps(content))

    with pytest.raises(BadBundle, match=key):
        load(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_description_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle.json").write_bytes(content)

    with pytest.raises(BadBundle):
        load(tmp_path)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="is no bundle"):
        load(tmp_path)


def test_calibration_is_a_probability_that_rises_with_the_cosine() -> None:
    calibration = Calibration(slope=1000, intercept=-500)

    assert calibration.probability(0.5) == 0.5
    assert calibration.probability(-1) == 0
    assert calibration.probability(1) == 1


def test_a_bundle_keeps_the_checksum_of_every_file(folder: Path) -> None:
    (weight,) = load(folder).weights

    assert weight == WeightFile("dlib_face_recognition_resnet_model_v1.dat", cold_start().weights[0].sha256)


@pytest.mark.realdata
def test_a_user_brings_an_onnx_backbone_with_external_weights(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "weights"

    bundle = write_bundle(
        tmp_path / "mobilefacenet",
        [weights / "MobileFaceNet.onnx", weights / "MobileFaceNet.onnx.data"],
        name="mobilefacenet",
        architecture="onnx",
        crop=CropSpec("arcface-112", 112),
        dimensions=128,
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        licence="Apache-2.0",
    )

    assert open_embedder(load(bundle.folder)).embed(np.zeros((1, 112, 112, 3), np.uint8)).shape == (1, 128)
