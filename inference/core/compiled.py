"""A torch network as onnxruntime runs it: the same numbers, in about half of the time of one core (README)."""

import io
import warnings
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inference.core.onnx_graph import OPSET, session

_writing = Lock()  # the exporter keeps what it does in a global


class DoesNotCompile(ValueError):
    """What torch cannot run with pixels of this shape, it cannot write down either."""


class Compiled:
    """Takes an array (n, …) and gives one for each output, also (n, …). Threads may share it, and so may forks."""

    def __init__(self, network: nn.Module, example: Tensor, outputs: Sequence[str], *, threads: int = 1) -> None:
        """`example` has the shape and type of the input, of any n above one. Raises DoesNotCompile."""
        self._outputs = list(outputs)
        self._session = session(_written(network.eval(), example, outputs), threads=threads)

    def __call__(self, given: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
        return self._session.run(self._outputs, {"given": np.ascontiguousarray(given)})  # type: ignore[no-any-return]


def _written(network: nn.Module, example: Tensor, outputs: Sequence[str]) -> bytes:
    written = io.BytesIO()
    free = {name: {0: "n"} for name in ("given", *outputs)}
    with _writing, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have its newer exporter, which takes ten times as long
        try:
            torch.onnx.export(
                network,
                (example,),
                written,  # type: ignore[arg-type]  # it takes a file as well
                dynamo=False,
                opset_version=OPSET,
                input_names=["given"],
                output_names=list(outputs),
                dynamic_axes=free,
            )
        except RuntimeError as error:
            raise DoesNotCompile(f"The network does not take pixels of {tuple(example.shape[1:])}: {error}") from error
    return written.getvalue()
