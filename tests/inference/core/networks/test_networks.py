import pytest
import torch

from inference.core.networks import NETWORKS, NetworkTaken, Trunk, UnknownNetwork, build, build_task, register

SIDES = {"iresnet50": 112, "iresnet18": 112, "mobilefacenet": 112, "dlib-29": 150}


@pytest.fixture(scope="module", params=sorted(SIDES))
def trunk(request: pytest.FixtureRequest) -> Trunk:
    torch.manual_seed(0)
    return build(request.param, 128).eval()


def test_every_network_is_tried_here() -> None:
    ours = {
        name for name, builder in NETWORKS.items() if builder.__module__.startswith("inference.")
    }  # not the tests' own

    assert ours == set(SIDES)


def test_an_embedding_has_as_many_dimensions_as_asked(trunk: Trunk) -> None:
    with torch.inference_mode():
        assert trunk(torch.zeros(2, 3, trunk.side, trunk.side)).shape == (2, 128)


def test_features_are_as_wide_as_promised(trunk: Trunk) -> None:
    with torch.inference_mode():
        assert trunk.features(torch.zeros(2, 3, trunk.side, trunk.side)).shape == (2, trunk.width)


def test_one_face_does_not_change_another(trunk: Trunk) -> None:
    pixels = torch.randn(3, 3, trunk.side, trunk.side, generator=torch.Generator().manual_seed(1))

    with torch.inference_mode():
        torch.testing.assert_close(trunk(pixels)[:1], trunk(pixels[:1]), rtol=1e-3, atol=1e-4)


def test_all_weights_are_in_a_stage_or_the_projection(trunk: Trunk) -> None:
    staged = {id(weight) for part in (*trunk.stages, trunk.projection) for weight in part.parameters()}  # type: ignore[union-attr]

    assert staged == {id(weight) for weight in trunk.parameters()}


def test_parameters_are_those_of_the_papers() -> None:
    counts = {name: sum(weight.numel() for weight in build(name, 512).parameters()) / 1e6 for name in SIDES}

    assert counts["iresnet50"] == pytest.approx(43.6, abs=0.1)  # as insightface publishes it
    assert counts["iresnet18"] == pytest.approx(24.0, abs=0.1)
    assert build("mobilefacenet", 128).width == 512
    assert sum(weight.numel() for weight in build("mobilefacenet", 128).parameters()) / 1e6 == pytest.approx(
        1.0, abs=0.1
    )


def test_a_fresh_head_finds_all_values_as_likely() -> None:
    network = build_task("mobilefacenet", 7, dimensions=128).eval()

    with torch.inference_mode():
        belief = torch.softmax(network(torch.randn(4, 3, 112, 112)), dim=1)

    torch.testing.assert_close(belief, torch.full((4, 7), 1 / 7), atol=0.05, rtol=0)


def test_an_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(UnknownNetwork, match=r"Did you mean 'iresnet50'\? Known are: dlib-29, iresnet18"):
        build("iresnet5", 128)


def test_a_name_is_given_once() -> None:
    with pytest.raises(NetworkTaken, match="mobilefacenet"):
        register("mobilefacenet")(lambda dimensions: build("mobilefacenet", dimensions))
