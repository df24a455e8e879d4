"""A torch network where the processor multiplies matrices of bfloat16 (AMX): oneDNN joins its steps and takes a quarter
to a half of onnxruntime's time (README). What is told is the same to about three digits."""

import os
import warnings
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference.core.compiled import DoesNotCompile
from inference.core.embed import LARGEST_BATCH

SIZES = (1, LARGEST_BATCH)  # each is a graph of its own: oneDNN plans for one shape
RUNS = 3  # torch looks on at the first run, joins the steps at the second, and oneDNN plans at the third
MAX_ISA = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")  # as oneDNN is told, and was under its name before
ALL = "DEFAULT"  # what the processor can, as oneDNN calls it
_joining = Lock()  # how torch joins steps are globals


def fits(threads: int) -> bool:
    """Whether this is such a processor: any other takes longer over bfloat16 than over floats.

    torch has one number of threads for all that a process does, so what asks for another is not run by it. And oneDNN
    may be told to do without AMX.
    """
    allowed = next(filter(None, map(os.environ.get, MAX_ISA)), ALL).upper()
    has_amx = torch.cpu.get_capabilities().get("amx_bf16") and (allowed in (ALL, "ALL") or "AMX" in allowed)
    return bool(has_amx) and torch.get_num_threads() == threads


class Fused:
    """Takes an array (n, …) and gives one for each output, also (n, …). Threads may share it, and so may forks."""

    def __init__(self, network: nn.Module, example: Tensor) -> None:
        """`example` (1, …) has the shape and type of the input. Raises DoesNotCompile."""
        self._graphs = {
            size: _joined(network.eval(), example.repeat(size, *[1] * (example.dim() - 1))) for size in SIZES
        }

    def __call__(self, given: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        parts, start = [], 0
        while start < len(given):
            size = max(size for size in SIZES if size <= len(given) - start)
            parts.append(self._run(given[start : start + size]))
            start += size
        return [np.concatenate(told) for told in zip(*parts, strict=True)]

    def _run(self, given: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        with torch.inference_mode():
            told = self._graphs[len(given)](torch.tensor(np.ascontiguousarray(given)))
        return [each.numpy() for each in (told if isinstance(told, tuple) else (told,))]


def _joined(network: nn.Module, example: Tensor) -> Any:
    with _joining, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is to go one day; what is to replace it needs a compiler at hand
        torch.jit.enable_onednn_fusion(True)
        casts = torch._C._jit_set_autocast_mode(False)  # what is traced has its casts already
        try:
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
                graph = torch.jit.freeze(torch.jit.trace(network, example, check_trace=False))  # type: ignore[no-untyped-call]
            for _ in range(RUNS):
                graph(example)
        except RuntimeError as error:
            raise DoesNotCompile(f"The network does not take pixels of {tuple(example.shape[1:])}: {error}") from error
        finally:
            torch._C._jit_set_autocast_mode(casts)
            torch.jit.enable_onednn_fusion(False)
    return graph
