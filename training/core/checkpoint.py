"""A run's state on disk: numbers as safetensors, the rest as JSON, each file whole or not there."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

STATE, WEIGHTS, BEST = "state.json", "state.safetensors", "best.safetensors"


class OtherRun(ValueError):
    """The folder holds another run: to go on with it would mix two."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder} holds a run with another {what}. Name another folder, or go on with what it holds.")


@dataclass(frozen=True)
class State:
    """Where a run stands, besides its weights."""

    config: str  # as JSON
    examples: str  # a checksum of what it learns from
    step: int = 0  # steps that are done
    loss: float = 0.0  # summed over this epoch's steps so far
    best: float | None = None
    best_epoch: int = 0
    history: tuple[Mapping[str, Any], ...] = ()  # a report an epoch
    seconds: float = 0.0  # of learning, breaks apart


def save(folder: Path, state: State, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """The weights first, the state last: a kill in between leaves the older state with the older weights' name."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = f"{state.step:09d}.{WEIGHTS}"
    _write_tensors(folder / weights, _tensors(network, optimiser))
    _replace(folder / STATE, json.dumps({"weights": weights} | vars(state), indent=1).encode())
    for old in folder.glob(f"*.{WEIGHTS}"):
        if old.name != weights:
            old.unlink()


def load(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, fresh: State) -> State:
    """Go on from what the folder holds, or begin with `fresh`. Raises OtherRun."""
    if not (folder / STATE).exists():
        return fresh
    told = json.loads((folder / STATE).read_text())
    weights = folder / told.pop("weights")
    state = State(**told | {"history": tuple(told["history"])})
    if state.config != fresh.config:
        raise OtherRun(folder, "configuration")
    if state.examples != fresh.examples:
        raise OtherRun(folder, "set of faces to learn from")
    _fill(load_file(weights), network, optimiser)
    return state


def save_best(folder: Path, network: nn.Module) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_tensors(folder / BEST, dict(network.state_dict()))


def load_best(folder: Path, network: nn.Module) -> None:
    network.load_state_dict(load_file(folder / BEST))


def _tensors(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    return tensors


def _fill(tensors: Mapping[str, Tensor], network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimiser": {}}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        parts[kind][rest] = value
    network.load_state_dict(parts["network"])
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimiser"].items():
        index, _, what = name.partition(".")
        states.setdefault(int(index), {})[what] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": states})


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    # Convolutions keep their weights channels last; a file holds them in their plain order.
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    part = path.with_name(f".{path.name}.part")
    save_file(plain, part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
