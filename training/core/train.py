"""The training loop: a generator of reports. The Celery task, the command and the tests each consume it.

Started by torchrun it runs on several GPUs or machines.
"""

import gc
import hashlib
import json
import os
import runpy
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, cos, pi
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.core import checkpoint
from training.core.augment import augment
from training.core.checkpoint import State
from training.core.config import TrainConfig
from training.core.data import Examples, order_of
from training.core.learners import AttributeLearner, EmbeddingLearner, Learner, as_pixels

EVERY = 2.0  # seconds between reports of progress


@dataclass(frozen=True)
class Progress:
    """Within an epoch, every few seconds."""

    epoch: int
    step: int
    steps: int
    loss: float
    rate: float
    images_per_second: float
    seconds_left: float  # of the whole run, at this pace


@dataclass(frozen=True)
class EpochDone:
    epoch: int
    epochs: int
    loss: float  # on what it learns from
    figures: Mapping[str, float]  # on the validation part
    score: float  # that decides: the higher, the better
    best: bool
    seconds: float  # of learning, from the start


@dataclass(frozen=True)
class Stopped:
    """Somebody asked for it; called again, the run goes on from here."""

    step: int
    steps: int


Report = Progress | EpochDone | Stopped


class Diverged(RuntimeError):
    def __init__(self, step: int) -> None:
        super().__init__(f"The loss is no number after step {step}. Lower the rate, or use float32.")


def train(
    config: TrainConfig,
    training: Examples,
    validation: Examples,
    folder: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Report]:
    """Learn, and keep the best weights by the validation part in `folder`.

    A folder with a run that was cut off is gone on with from its last checkpoint: the outcome is that of an unbroken
    run, as all chance hangs on seed, epoch and step. Raises OtherRun, Diverged, and what makes a learner.
    """
    with _place(config) as place:
        learner = learner_for(config, training).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = _optimiser(learner, config)
        state = State(config=config.as_json(), examples=checksum(training, validation))
        state = checkpoint.load(folder, learner, optimiser, state)
        if config.fit_head and state.step == 0 and isinstance(learner, AttributeLearner):
            learner.fit_head(training)
        yield from _Loop(config, training, validation, folder, stop, place, learner, optimiser, state).run()


def learner_for(config: TrainConfig, training: Examples) -> Learner:
    torch.manual_seed(config.seed)
    if config.attribute is not None:
        return AttributeLearner(config)
    identities = np.unique(training.values).astype(np.int64) if config.loss == "margin" else ()
    return EmbeddingLearner(config, {int(each): number for number, each in enumerate(identities)})


def checksum(*parts: Examples) -> str:
    """Of what is learnt from, pictures apart: a release is frozen, so these say which they are."""
    told = hashlib.sha256()
    for part in parts:
        told.update(np.ascontiguousarray(part.values).tobytes())
        told.update(np.ascontiguousarray(part.groups).tobytes())
    return told.hexdigest()


# ---- where it runs


@dataclass(frozen=True)
class Place:
    """This process among those that torchrun started; alone without it."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def any(self, said: bool) -> bool:
        """Whether one of the processes said so."""
        if self.world == 1:
            return said
        told = torch.tensor([float(said)], device=self.device)
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return bool(told.item())

    def mean(self, value: float) -> float:
        if self.world == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.all_reduce(told)
        return float(told.item()) / self.world


@contextmanager
def _place(config: TrainConfig) -> Iterator[Place]:
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device("cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 1) // (1 if gpu else world)))
    if world > 1:
        distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield Place(device, rank, world)
        if world > 1:
            distributed.barrier()  # nobody hangs up while another one still listens
    finally:
        torch.set_num_threads(before)
        if world > 1:
            gc.collect()  # what learnt together is a cycle: left to the exit, its end of the group aborts the process
            distributed.destroy_process_group()


def _optimiser(learner: Learner, config: TrainConfig) -> torch.optim.Optimizer:
    """Two rates: what is learnt anew at the full one, what is known already at a share of it."""
    for stage in list(learner.trunk.stages)[: config.frozen]:
        stage.requires_grad_(False)
    if config.attribute is not None:  # nobody asks it who somebody is
        for name, weight in learner.trunk.named_parameters():
            if name.startswith("projection."):
                weight.requires_grad_(False)
    fresh = {id(weight) for weight in learner.heads().parameters()}
    learning = [weight for weight in learner.parameters() if weight.requires_grad]
    trunk_rate = config.trunk_rate if config.start != "scratch" else 1.0
    return torch.optim.AdamW(
        [
            {"params": [each for each in learning if id(each) in fresh], "share": 1.0},
            {"params": [each for each in learning if id(each) not in fresh], "share": trunk_rate},
        ],
        lr=config.rate,
        weight_decay=config.weight_decay,
    )


# ---- the loop


@dataclass
class _Loop:
    config: TrainConfig
    training: Examples
    validation: Examples
    folder: Path
    stop: Callable[[], bool]
    place: Place
    learner: Learner
    optimiser: torch.optim.Optimizer
    state: State

    def run(self) -> Iterator[Report]:
        self.per_epoch = ceil(len(self.training) / (self.config.batch * self.place.world))
        self.steps = self.per_epoch * self.config.epochs
        self.stepping: nn.Module = self.learner
        if self.place.world > 1:
            self.stepping = DistributedDataParallel(self.learner)
        # What is weighed is weighed against the average face, so that the rate means the same.
        if self.training.weights is not None:
            mean = max(float(self.training.weights.mean()), 1e-9)
            self.training = replace(self.training, weights=self.training.weights / mean)
        while self.state.step < self.steps and not self._run_out():
            stopped = yield from self._epoch(self.state.step // self.per_epoch)
            if stopped:
                return
            yield self._judge(self.state.step // self.per_epoch - 1)

    def _run_out(self) -> bool:
        """No better validation for so many epochs; only between epochs."""
        done, rest = divmod(self.state.step, self.per_epoch)
        return rest == 0 and done > 0 and done - 1 - self.state.best_epoch >= self.config.patience

    def _epoch(self, epoch: int) -> Generator[Report, None, bool]:
        """The steps of one epoch that are not done yet. Returns whether it was stopped."""
        order = order_of(self.training, self.config, epoch)
        self._learn()
        begun = saved = told = time.monotonic()
        first = self.state.step
        while self.state.step < (epoch + 1) * self.per_epoch:
            loss = self._step(order, epoch)
            self.state = replace(self.state, step=self.state.step + 1, loss=self.state.loss + loss)
            now = time.monotonic()
            if self.place.any(self.stop()):
                self._save(now - begun)
                yield Stopped(self.state.step, self.steps)
                return True
            if now - saved > 60 * self.config.checkpoint_minutes:
                self._save(now - begun)
                saved = begun = now
                first = self.state.step
            if now - told > EVERY:
                told = now
                yield self._progress(epoch, (now - begun) / max(1, self.state.step - first))
        self.state = replace(self.state, seconds=self.state.seconds + time.monotonic() - begun)
        return False

    def _learn(self) -> None:
        self.learner.train()
        for stage in list(self.learner.trunk.stages)[: self.config.frozen]:
            stage.eval()  # its running means stay, too

    def _step(self, order: npt.NDArray[np.int64], epoch: int) -> float:
        step, world = self.state.step, self.place.world
        seed = int(np.random.SeedSequence([self.config.seed, step, self.place.rank]).generate_state(1)[0])
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        at = (step % self.per_epoch) * self.config.batch * world
        rows = np.take(order, np.arange(at + self.place.rank, at + self.config.batch * world, world), mode="wrap")
        rate = self.config.rate * self._schedule(step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["share"]
        pixels = augment(
            as_pixels(self.training.pictures.take(rows), self.place.device), generator, self.config.augment
        )
        loss = self._loss(pixels, rows, epoch)
        if not torch.isfinite(loss):
            raise Diverged(step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.learner.parameters(), 5.0)
        self.optimiser.step()
        return float(loss.detach())

    def _loss(self, pixels: Tensor, rows: npt.NDArray[np.int64], epoch: int) -> Tensor:
        options: dict[str, Any] = {}
        if isinstance(self.learner, EmbeddingLearner):
            # Every process samples the same identities; those of the others' faces among them by chance alone.
            options["generator"] = torch.Generator().manual_seed(self.config.seed + self.state.step)
        elif self.config.epsilon:
            options["last"] = epoch >= (1 - self.config.epsilon) * self.config.epochs
        narrow = self.config.precision == "bfloat16"
        with torch.autocast(self.place.device.type, dtype=torch.bfloat16, enabled=narrow):
            told: Tensor = self.stepping(pixels, self.training, rows, **options)
        return told

    def _schedule(self, step: int) -> float:
        """Up in a straight line, down along a cosine (Loshchilov & Hutter, "SGDR", ICLR 2017)."""
        rising = max(1, int(self.config.warm_up * self.steps))
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + cos(pi * (step - rising) / max(1, self.steps - rising)))

    def _judge(self, epoch: int) -> EpochDone:
        """After an epoch: how good it is now. The best weights are kept."""
        figures, score = self.learner.validate(self.validation)
        best = self.state.best is None or score > self.state.best
        report = EpochDone(
            epoch=epoch,
            epochs=self.config.epochs,
            loss=self.place.mean(self.state.loss / self.per_epoch),
            figures=figures,
            score=score,
            best=best,
            seconds=self.state.seconds,
        )
        if best and self.place.leads:
            checkpoint.save_best(self.folder, self.learner.served())
        self.state = replace(
            self.state,
            loss=0.0,
            best=score if best else self.state.best,
            best_epoch=epoch if best else self.state.best_epoch,
            history=(*self.state.history, vars(report) | {"figures": dict(figures)}),
        )
        self._save(0.0)
        return report

    def _save(self, seconds: float) -> None:
        self.state = replace(self.state, seconds=self.state.seconds + seconds)
        if self.place.leads:
            checkpoint.save(self.folder, self.state, self.learner, self.optimiser)

    def _progress(self, epoch: int, seconds: float) -> Progress:
        """`seconds` a step takes."""
        done = self.state.step - epoch * self.per_epoch
        return Progress(
            epoch=epoch + 1,
            step=self.state.step,
            steps=self.steps,
            loss=self.state.loss / max(1, done),
            rate=self.optimiser.param_groups[0]["lr"],
            images_per_second=self.config.batch * self.place.world / max(seconds, 1e-9),
            seconds_left=(self.steps - self.state.step) * seconds,
        )


def history(folder: Path) -> list[Mapping[str, Any]]:
    """The reports of the epochs that are done, from a run's folder."""
    path = folder / checkpoint.STATE
    return json.loads(path.read_text())["history"] if path.exists() else []


if __name__ == "__main__":
    runpy.run_module("training.core.run", run_name="__main__")  # the loop by itself is no command
