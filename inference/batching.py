"""Requests that wait for the same network at the same time are served in one go.

Several faces at once take a network less time than one after the other, and torch and onnxruntime do not gain by
being entered from several threads. Alone, a request waits for nothing, nor does one that fills a batch by itself.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache
from threading import Event, Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from inference import metrics
from inference.core.embed import LARGEST_BATCH
from inference.core.types import AttributeModel, Beliefs, Crops, Embedder, Vectors
from inference.registry import HELD

Told: TypeAlias = "tuple[npt.NDArray[np.generic] | None, ...]"  # a row for each crop


class BrokenOff(Exception):
    """Whoever led the batch was ended in the middle of it."""


class _Request:
    def __init__(self, crops: Crops) -> None:
        self.crops = crops
        self.turn = Event()  # it was answered, or is to lead
        self.told: Told | None = None
        self.error: Exception | None = None


class Together:
    """Calls `run` with the crops of all who wait. Whoever has waited longest leads: they run the next batch for all."""

    def __init__(self, run: Callable[[Crops], Told], name: str = "network") -> None:
        self._run = run
        self._name = name  # that it is counted by
        self._lock = Lock()
        self._waiting: deque[_Request] = deque()
        self._led = False

    def __call__(self, crops: Crops) -> Told:
        """What `run` says of these crops (n, size, size, 3), all of one size. Raises whatever it raises of them."""
        if len(crops) >= LARGEST_BATCH:  # nobody else's would go with them
            metrics.batch(self._name, len(crops))
            return self._run(crops)
        mine = _Request(crops)
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            with metrics.waiting(self._name):
                mine.turn.wait()
        if mine.told is None and mine.error is None:
            self._lead()
        if mine.error is not None:
            raise mine.error
        assert mine.told is not None
        return mine.told

    def _lead(self) -> None:
        """One batch; then the next who waits leads. The leader is the first in the line, so its own crops are in it."""
        with self._lock:
            batch = [self._waiting.popleft()]
            faces = len(batch[0].crops)
            while self._waiting and faces + len(self._waiting[0].crops) <= LARGEST_BATCH:
                batch.append(self._waiting.popleft())
                faces += len(batch[-1].crops)
        try:
            metrics.batch(self._name, faces)
            self._answer(batch)
        finally:
            for request in batch[1:]:
                if request.told is None and request.error is None:
                    request.error = BrokenOff("The process is being ended. Send it again.")
                request.turn.set()
            with self._lock:
                self._led = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].turn.set()

    def _answer(self, batch: list[_Request]) -> None:
        try:
            told = self._run(np.concatenate([request.crops for request in batch]) if len(batch) > 1 else batch[0].crops)
        except Exception as error:
            # The edge of somebody else's thread: what one request is refused for must not refuse the others.
            if len(batch) == 1:
                batch[0].error = error
                return
            for request in batch:
                self._answer([request])
            return
        start = 0
        for request in batch:
            end = start + len(request.crops)
            request.told = tuple(None if each is None else each[start:end] for each in told)
            start = end


def embed(network: Embedder, crops: Crops) -> Vectors:
    """As `network.embed` does, together with whoever else asks it now."""
    with metrics.stage("embed"):
        (vectors,) = _embedding(network)(crops)  # type: ignore[arg-type]  # hashed by identity, as any object
    assert vectors is not None
    return np.asarray(vectors, np.float32)


def look(network: AttributeModel, crops: Crops) -> Beliefs:
    """The beliefs that `network.look` gives, likewise."""
    with metrics.stage("attributes"):
        beliefs = _looking(network)(crops)[0]  # type: ignore[arg-type]
    assert beliefs is not None
    return np.asarray(beliefs, np.float64)


@lru_cache(maxsize=HELD)
def _embedding(network: Embedder) -> Together:
    return Together(lambda crops: (network.embed(crops),), "embedding")


@lru_cache(maxsize=HELD)
def _looking(network: AttributeModel) -> Together:
    return Together(network.look, network.attribute.name)
