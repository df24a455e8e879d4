from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inference.core.attributes import GENDER, REAL_AGE, Attribute
from inference.core.bundle import BadBundle, Bundle, load, open_attribute_model, open_embedder, write_bundle
from inference.core.embed import CropsDoNotFit, UnusableBackbone
from inference.core.networks import build, build_task
from inference.core.torch_models import fold
from inference.core.types import CropSpec

CROP = CropSpec("arcface-112", 112)


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 112, 112, 3)).astype(np.uint8)


def a_task_bundle(folder: Path, attribute: Attribute, values: tuple[str, ...], **changes: object) -> Bundle:
    torch.manual_seed(3)
    network = build_task("mobilefacenet", len(values), dimensions=64)
    torch.nn.init.normal_(network.head.weight, std=0.3)  # so that it has opinions
    folder.mkdir(exist_ok=True)
    save_file(network.state_dict(), folder / "network.safetensors")
    described = {"name": "mine", "architecture": "mobilefacenet", "crop": CROP, "dimensions": 64, "flip": True}
    described |= {"task": attribute.name, "values": values} | changes
    return write_bundle(folder / "bundle", [folder / "network.safetensors"], **described)


def test_a_task_network_says_a_distribution_over_the_values_in_the_registrys_order(tmp_path: Path) -> None:
    plain = open_attribute_model(a_task_bundle(tmp_path / "a", GENDER, ("female", "male")))
    turned = open_attribute_model(a_task_bundle(tmp_path / "b", GENDER, ("male", "female")))

    belief, features = plain.look(crops(3))

    np.testing.assert_allclose(belief.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(turned.look(crops(3))[0], belief[:, ::-1])
    assert features is not None
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("architecture", ["mobilefacenet", "iresnet18"])
def test_a_folded_network_says_the_same_with_fewer_layers(architecture: str) -> None:
    torch.manual_seed(0)
    network = build(architecture, 64).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2.0)
    pixels = torch.randn(2, 3, 112, 112)
    with torch.inference_mode():
        before = network(pixels)
    layers = sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())

    fold(network)

    with torch.inference_mode():
        np.testing.assert_allclose(network(pixels).numpy(), before.numpy(), rtol=1e-3, atol=1e-4)
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules()) < layers


def test_years_that_a_network_does_not_know_have_no_belief(tmp_path: Path) -> None:
    model = open_attribute_model(a_task_bundle(tmp_path, REAL_AGE, tuple(map(str, range(101)))))

    belief, _ = model.look(crops(2))

    assert belief.shape == (2, 117)
    assert not belief[:, 101:].any()


def test_a_group_of_years_is_believed_evenly(tmp_path: Path) -> None:
    model = open_attribute_model(a_task_bundle(tmp_path, REAL_AGE, ("0-2", "3-12", "66-116")))

    belief, _ = model.look(crops(2))

    np.testing.assert_allclose(belief.sum(axis=1), 1, atol=1e-6)
    assert (belief[:, 3:13] == belief[:, 3:4]).all()
    assert not belief[:, 13:66].any()


def test_a_mirrored_face_is_judged_alike(tmp_path: Path) -> None:
    model = open_attribute_model(a_task_bundle(tmp_path, GENDER, ("female", "male")))

    np.testing.assert_allclose(model.look(crops(2))[0], model.look(crops(2)[:, :, ::-1])[0], atol=1e-5)


def test_a_higher_temperature_makes_it_less_sure(tmp_path: Path) -> None:
    cool = open_attribute_model(a_task_bundle(tmp_path / "a", GENDER, ("female", "male")))
    warm = open_attribute_model(a_task_bundle(tmp_path / "b", GENDER, ("female", "male"), temperature=3.0))

    assert (warm.look(crops(4))[0].max(axis=1) < cool.look(crops(4))[0].max(axis=1)).all()


def test_no_crops_give_no_beliefs(tmp_path: Path) -> None:
    model = open_attribute_model(a_task_bundle(tmp_path, GENDER, ("female", "male")))

    assert model.look(np.empty((0, 112, 112, 3), np.uint8))[0].shape == (0, 2)
    with pytest.raises(CropsDoNotFit):
        model.look(np.zeros((1, 64, 64, 3), np.uint8))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(build("mobilefacenet", 32).state_dict(), tmp_path / "weights.safetensors")

    with pytest.raises(UnusableBackbone, match=r"weights\.safetensors are not those of this network"):
        write_bundle(
            tmp_path / "bundle",
            [tmp_path / "weights.safetensors"],
            name="mine",
            architecture="mobilefacenet",
            crop=CROP,
            dimensions=64,
        )
    assert not (tmp_path / "bundle").exists()


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"\x80\x04pickle")

    with pytest.raises(UnusableBackbone, match="no safetensors file"):
        write_bundle(
            tmp_path / "bundle",
            [tmp_path / "weights.safetensors"],
            name="mine",
            architecture="mobilefacenet",
            crop=CROP,
            dimensions=64,
        )


def test_a_backbone_of_ours_embeds_by_its_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.core.torch_models.fits", lambda threads: False)  # in floats, as torch below
    torch.manual_seed(0)
    network = build("mobilefacenet", 64).eval()
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    described = {"name": "mine", "architecture": "mobilefacenet", "crop": CROP, "dimensions": 64}
    written = write_bundle(tmp_path / "bundle", [tmp_path / "weights.safetensors"], **described, mean=(0.5,) * 3)

    vectors = open_embedder(load(written.folder)).embed(crops(2))

    with torch.inference_mode():
        pixels = torch.from_numpy(crops(2)).permute(0, 3, 1, 2).float()
        raw = network((pixels - 127.5) / 255).numpy()
    np.testing.assert_allclose(vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)


def test_a_backbone_is_not_opened_as_an_attributes_network(tmp_path: Path) -> None:
    bundle = a_task_bundle(tmp_path, GENDER, ("female", "male"))

    with pytest.raises(BadBundle, match="a backbone is needed"):
        open_embedder(bundle)
