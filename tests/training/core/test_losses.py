"""Losses against values worked by hand, and their gradients against finite differences."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from training.core.losses import (
    Margin,
    age_loss,
    apparent_error,
    distilled,
    expected_years,
    sampled,
    soft_cross_entropy,
    soft_years,
    squared_emd,
)


def logits(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()


def distributions(*shape: int) -> torch.Tensor:
    return torch.softmax(torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)), dim=1)


def test_cross_entropy_of_a_coin_that_is_not_known_is_a_bit() -> None:
    assert soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]])).item() == pytest.approx(math.log(2))


def test_a_one_hot_target_gives_the_usual_cross_entropy() -> None:
    told = logits(5, 7)
    usual = torch.nn.functional.cross_entropy(told, torch.arange(5), reduction="none")

    torch.testing.assert_close(soft_cross_entropy(told, torch.eye(7, dtype=torch.float64)[:5]), usual)


def test_soft_years_peak_at_the_age_and_spread_by_the_deviation() -> None:
    target = soft_years(torch.tensor([30.0, 0.0]), torch.tensor([2.0, 5.0]), 101)

    torch.testing.assert_close(target.sum(dim=1), torch.ones(2))
    assert target.argmax(dim=1).tolist() == [30, 0]
    assert target[0, 32] / target[0, 30] == pytest.approx(math.exp(-0.5), rel=1e-5)


def test_the_expectation_of_an_even_belief_is_the_middle() -> None:
    assert expected_years(torch.zeros(1, 101)).item() == pytest.approx(50)


def test_a_guess_one_deviation_off_has_the_error_of_the_formula() -> None:
    error = apparent_error(torch.tensor([33.0, 30.0]), torch.tensor([30.0, 30.0]), torch.tensor([3.0, 3.0]))

    assert error.tolist() == pytest.approx([1 - math.exp(-0.5), 0])


def test_far_off_groups_cost_more_than_neighbours() -> None:
    sure = torch.tensor([[20.0, 0, 0, 0]])
    cost = [squared_emd(sure, torch.eye(4)[group : group + 1]).item() for group in range(4)]

    assert cost == pytest.approx([0, 1, 2, 3], abs=1e-4)


def test_without_margin_the_logits_are_scaled_cosines() -> None:
    margin = Margin(2, 2, arc=0, cosine=0, scale=10)
    margin.weight.data = torch.tensor([[[1.0, 0.0]], [[0.0, 3.0]]])

    torch.testing.assert_close(margin(torch.tensor([[5.0, 5.0]]), torch.tensor([0])), torch.full((1, 2), 10 / 2**0.5))


def test_arcface_turns_the_own_angle_and_cosface_shifts_the_own_cosine() -> None:
    face, own = torch.tensor([[1.0, 1.0]]), torch.tensor([0])  # 45° to both
    arc, cosine = Margin(2, 2, arc=0.5, scale=1), Margin(2, 2, arc=0, cosine=0.35, scale=1)
    for each in (arc, cosine):
        each.weight.data = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])

    assert arc(face, own)[0].tolist() == pytest.approx([math.cos(math.pi / 4 + 0.5), math.cos(math.pi / 4)], abs=1e-5)
    assert cosine(face, own)[0].tolist() == pytest.approx([0.5**0.5 - 0.35, 0.5**0.5], abs=1e-5)


def test_the_own_logit_falls_with_the_angle_all_the_way_round() -> None:
    margin = Margin(2, 2, arc=0.5, scale=1)
    margin.weight.data = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    angle = torch.linspace(0.01, math.pi - 0.01, 200)

    own = margin(torch.stack([angle.cos(), angle.sin()], dim=1), torch.zeros(200, dtype=torch.long))[:, 0]

    assert (own.diff() < 0).all()


def test_of_several_centres_the_nearest_counts() -> None:
    margin = Margin(2, 2, arc=0, scale=1, centres=2)
    margin.weight.data = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [-1.0, 0.0]]])

    assert margin(torch.tensor([[0.0, 2.0]]), torch.tensor([0]))[0].tolist() == pytest.approx([1, 0], abs=1e-5)


def test_all_identities_of_the_batch_are_sampled_and_found_again() -> None:
    identity = torch.tensor([7, 99, 7, 3])

    only, place = sampled(identity, 100, 0.1, torch.Generator().manual_seed(0))

    assert len(only) == 10
    assert only[place].tolist() == identity.tolist()


def test_a_batch_of_more_identities_than_the_share_has_them_all() -> None:
    only, place = sampled(torch.arange(20), 20, 0.1, torch.Generator().manual_seed(0))

    assert only.tolist() == list(range(20))
    assert place.tolist() == list(range(20))


def test_the_sampled_softmax_is_that_of_the_sampled_identities() -> None:
    margin, faces, identity = Margin(4, 50), torch.randn(6, 4), torch.randint(0, 50, (6,))
    only, place = sampled(identity, 50, 0.3, torch.Generator().manual_seed(0))

    torch.testing.assert_close(margin(faces, place, only), margin(faces, identity)[:, only])


def test_a_student_on_its_teacher_has_no_loss() -> None:
    teacher = torch.nn.functional.normalize(torch.randn(3, 8))

    torch.testing.assert_close(distilled(5 * teacher, teacher), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(distilled(-teacher, teacher), torch.full((3,), 2.0))


YEARS = torch.tensor([0.5, 3.0, 7.2], dtype=torch.float64)


@pytest.mark.parametrize(
    "loss",
    [
        lambda told: soft_cross_entropy(told, distributions(3, 9)),
        lambda told: age_loss(told, distributions(3, 9), YEARS, l1=0.5),
        lambda told: apparent_error(expected_years(told), YEARS, torch.full_like(YEARS, 2.0)),
        lambda told: squared_emd(told, distributions(3, 9)),
        lambda told: distilled(told, torch.nn.functional.normalize(distributions(3, 9))),
    ],
    ids=["soft cross entropy", "age", "apparent error", "squared EMD", "distilled"],
)
def test_gradients_are_those_of_the_loss(loss: object) -> None:
    assert gradcheck(loss, (logits(3, 9),))


@pytest.mark.parametrize("options", [{"arc": 0.5}, {"arc": 0.0, "cosine": 0.35}, {"arc": 0.5, "centres": 3}])
def test_gradients_of_margins_are_those_of_the_loss(options: dict[str, float]) -> None:
    torch.manual_seed(0)
    margin = Margin(4, 5, scale=8, **options).double()
    identity = torch.tensor([0, 4, 2])

    def loss(faces: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        told = torch.func.functional_call(margin, {"weight": weight}, (faces, identity))
        return torch.nn.functional.cross_entropy(told, identity)

    assert gradcheck(loss, (logits(3, 4), margin.weight.detach().clone().requires_grad_()))
