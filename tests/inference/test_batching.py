"""Requests that wait for one network are served together, each with its own answer."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest

from inference.batching import BrokenOff, Together
from inference.core.attributes import GENDER
from inference.core.bundle import cold_start, open_embedder
from inference.core.cold_attributes import COLD
from inference.core.embed import LARGEST_BATCH

AT_ONCE = 4  # so many that all the others fit into one batch


def crops(count: int, seed: int = 0, side: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def asked_at_once(together: Together, wanted: list[np.ndarray], begun: Event | None = None) -> list[object]:
    """The answers to all of these, asked by a thread each: the first alone, the others while it is at it."""

    def ask(number: int) -> object:
        if number and begun is not None:
            begun.wait(5)
        try:
            return together(wanted[number])
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(wanted)) as pool:
        return list(pool.map(ask, range(len(wanted))))


class Slow:
    """A network that tells the sum of each crop, and how many it was given at a time."""

    def __init__(self) -> None:
        self.sizes = list[int]()
        self.begun, self.go_on = Event(), Event()

    def __call__(self, given: np.ndarray) -> tuple[np.ndarray, None]:
        self.sizes.append(len(given))
        if len(self.sizes) == 1:
            self.begun.set()
            self.go_on.wait(5)
        if (given == 255).all(axis=(1, 2, 3)).any():
            raise ValueError("too bright")
        return given.sum(axis=(1, 2, 3)), None


def let_go(network: Slow, together: Together) -> None:
    """Once all the others wait for the first."""
    while len(together._waiting) < AT_ONCE - 1:
        time.sleep(0.001)
    network.go_on.set()


def test_who_waits_is_served_in_one_go_and_gets_their_own_answer():
    network = Slow()
    together = Together(network)
    wanted = [crops(1 + (number == 2), number) for number in range(AT_ONCE)]

    with ThreadPoolExecutor(1) as other:
        other.submit(let_go, network, together)
        answers = asked_at_once(together, wanted, network.begun)

    assert network.sizes == [1, sum(len(each) for each in wanted[1:])]
    for each, (sums, nothing) in zip(wanted, answers, strict=True):
        assert list(sums) == list(each.sum(axis=(1, 2, 3)))
        assert nothing is None
    assert not together._led


def test_one_that_fails_fails_alone():
    network = Slow()
    together = Together(network)
    wanted = [crops(1, number) for number in range(AT_ONCE)]
    wanted[3][0] = 255

    with ThreadPoolExecutor(1) as other:
        other.submit(let_go, network, together)
        answers = asked_at_once(together, wanted, network.begun)

    assert network.sizes == [1, 3, 1, 1, 1]  # those who waited together, and then each of them alone
    assert [isinstance(each, ValueError) for each in answers] == [number == 3 for number in range(AT_ONCE)]
    with pytest.raises(ValueError, match="too bright"):
        together(wanted[3])
    assert list(together(wanted[0])[0]) == list(wanted[0].sum(axis=(1, 2, 3)))


def test_who_is_served_with_one_that_is_killed_is_told_and_the_next_are_served():
    class Killed(BaseException):
        pass

    network, died = Slow(), list[np.ndarray]()

    def run(given: np.ndarray) -> tuple[np.ndarray, None]:
        if len(given) == 2:
            died.append(given)
            raise Killed
        return network(given)

    together = Together(run)

    def let_go() -> None:
        while len(together._waiting) < 2:
            time.sleep(0.001)
        network.go_on.set()

    def ask(number: int) -> object:
        if number:
            network.begun.wait(5)
        try:
            return together(crops(1, number))
        except (Killed, BrokenOff) as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        pool.submit(let_go)
        answers = list(pool.map(ask, range(3)))

    assert {type(answer) for answer in answers[1:]} == {Killed, BrokenOff}  # whoever led, and whoever was with them
    assert len(died) == 1
    assert list(together(crops(1))[0]) == list(answers[0][0])


def test_no_batch_grows_beyond_what_is_faster():
    network = Slow()
    network.go_on.set()
    together = Together(network)
    asked_at_once(together, [crops(LARGEST_BATCH // 2 + 1) for _ in range(4)])
    together(crops(2 * LARGEST_BATCH))
    assert sorted(network.sizes) == [LARGEST_BATCH // 2 + 1] * 4 + [2 * LARGEST_BATCH]


def test_numbers_are_the_same_together_as_alone():
    embedder, gender = open_embedder(cold_start()), COLD[GENDER.name].open()
    for run, side in ((lambda given: (embedder.embed(given),), 150), (gender.look, gender.crop.size)):
        wanted = [crops(1, number, side) for number in range(4)]
        alone = [run(each)[0] for each in wanted]
        together, barrier = Together(run), Barrier(4)

        def ask(each: np.ndarray, together: Together = together, barrier: Barrier = barrier) -> np.ndarray | None:
            barrier.wait(5)
            return together(each)[0]

        with ThreadPoolExecutor(4) as pool:
            at_once = list(pool.map(ask, wanted))
        for one, other in zip(alone, at_once, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_who_fills_a_batch_waits_for_nobody():
    network = Slow()
    together = Together(network)

    def ask_after() -> object:
        network.begun.wait(5)
        try:
            return together(crops(LARGEST_BATCH, 1))
        finally:
            network.go_on.set()

    with ThreadPoolExecutor(1) as other:
        later = other.submit(ask_after)
        together(crops(1))

    assert list(later.result()[0]) == list(crops(LARGEST_BATCH, 1).sum(axis=(1, 2, 3)))
    assert network.sizes == [1, LARGEST_BATCH]
