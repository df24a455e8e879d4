from dataclasses import replace
from pathlib import Path

import dlib
import numpy as np
import pytest

from inference.core import dlib_resnet
from inference.core.align import align
from inference.core.architectures import DLIB_CROP
from inference.core.bundle import cold_start, open_embedder
from inference.core.detect import cold_detector
from inference.core.dlib_resnet import NotTheDlibResNet
from inference.core.embed import (
    CropsDoNotFit,
    OnnxEmbedder,
    UnusableBackbone,
    unit,
)
from inference.core.types import Crops, CropSpec, Embedder
from tests.inference.core.drawn_face import drawn_face


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return open_embedder(cold_start())


@pytest.fixture(scope="module")
def crops() -> Crops:
    skins = [(222, 180, 150), (140, 90, 60), (240, 210, 190), (180, 130, 100)]
    pictures = [drawn_face(skin=skin, seed=seed) for seed, skin in enumerate(skins)]
    points = [cold_detector().detect(picture)[0].points for picture in pictures]
    return np.stack([align(p, five, DLIB_CROP)[0] for p, five in zip(pictures, points, strict=True)])


def test_embeddings_have_length_one(embedder: Embedder, crops: Crops) -> None:
    vectors = embedder.embed(crops)

    assert vectors.shape == (4, 128)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_network_is_the_one_that_dlib_runs(crops: Crops, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.core.torch_models.fits", lambda threads: False)  # in floats, as dlib does
    bundle = replace(cold_start(), flip=False)
    theirs = np.array(dlib.face_recognition_model_v1(str(bundle.main_weights)).compute_face_descriptor(list(crops), 0))

    np.testing.assert_allclose(open_embedder(bundle).embed(crops), unit(theirs.astype(np.float32)), atol=1e-5)


def test_a_face_alone_and_in_a_batch_has_the_same_vector(embedder: Embedder, crops: Crops) -> None:
    many = np.concatenate([crops] * 10)  # more than one batch

    together = embedder.embed(many)

    np.testing.assert_allclose(together[:4], embedder.embed(crops), atol=1e-5)
    np.testing.assert_allclose(together[36:], np.concatenate([embedder.embed(crop[None]) for crop in crops]), atol=1e-5)


def test_the_same_crops_give_the_same_bytes(embedder: Embedder, crops: Crops) -> None:
    assert embedder.embed(crops).tobytes() == embedder.embed(crops).tobytes()


def test_a_mirrored_face_has_the_same_vector(embedder: Embedder, crops: Crops) -> None:
    np.testing.assert_allclose(embedder.embed(crops[:, :, ::-1]), embedder.embed(crops), atol=1e-5)


def test_no_crops_give_no_vectors(embedder: Embedder) -> None:
    assert embedder.embed(np.empty((0, 150, 150, 3), np.uint8)).shape == (0, 128)


@pytest.mark.parametrize("shape", [(150, 150, 3), (1, 112, 112, 3), (1, 150, 150)])
def test_crops_of_another_size_are_refused(embedder: Embedder, shape: tuple[int, ...]) -> None:
    with pytest.raises(CropsDoNotFit, match=r"\(n, 150, 150, 3\)"):
        embedder.embed(np.zeros(shape, np.uint8))


def test_floats_are_refused_as_crops(embedder: Embedder) -> None:
    with pytest.raises(CropsDoNotFit):
        embedder.embed(np.zeros((1, 150, 150, 3), np.float32))  # type: ignore[arg-type]


def test_another_file_is_not_taken_for_the_network(tmp_path: Path) -> None:
    damaged = tmp_path / "network.dat"
    damaged.write_bytes(cold_start().main_weights.read_bytes()[:4000])

    with pytest.raises(NotTheDlibResNet, match=r"network\.dat"):
        dlib_resnet.read(damaged)


def test_a_vector_of_zeros_stays_one() -> None:
    assert unit(np.zeros((1, 3), np.float32)).tolist() == [[0, 0, 0]]


@pytest.mark.realdata
def test_an_onnx_backbone_embeds_crop_by_crop_as_in_a_batch(shared_data: Path) -> None:
    model = shared_data / "weights" / "MobileFaceNet.onnx"
    network = OnnxEmbedder(
        model, crop=CropSpec("arcface-112", 112), dimensions=128, mean=(0.5,) * 3, deviation=(0.5,) * 3
    )
    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)

    vectors = network.embed(crops)

    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[1], network.embed(crops[1:2])[0])


@pytest.mark.realdata
def test_an_onnx_backbone_must_keep_its_promise(shared_data: Path) -> None:
    model, plain = shared_data / "weights" / "MobileFaceNet.onnx", {"mean": (0.5,) * 3, "deviation": (0.5,) * 3}

    with pytest.raises(UnusableBackbone, match="takes an input of shape"):
        OnnxEmbedder(model, crop=CropSpec("arcface-112", 150), dimensions=128, **plain)
    with pytest.raises(UnusableBackbone, match=r"vectors of shape \(128,\), not \(512,\)"):
        OnnxEmbedder(model, crop=CropSpec("arcface-112", 112), dimensions=512, **plain)


@pytest.mark.realdata
def test_order_of_channels_matters(shared_data: Path) -> None:
    model, plain = shared_data / "weights" / "MobileFaceNet.onnx", {"mean": (0.4, 0.5, 0.6), "deviation": (0.5,) * 3}
    crop = np.random.default_rng(0).integers(0, 256, (1, 112, 112, 3)).astype(np.uint8)
    spec = CropSpec("arcface-112", 112)

    rgb = OnnxEmbedder(model, crop=spec, dimensions=128, **plain)
    bgr = OnnxEmbedder(model, crop=spec, dimensions=128, channels="bgr", **plain)

    np.testing.assert_array_equal(bgr.embed(crop[..., ::-1]), rgb.embed(crop))
