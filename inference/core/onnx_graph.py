"""Networks whose weights come in a file of somebody else's making, written down as ONNX: onnxruntime runs them on one
core in a fraction of the time that their own libraries take."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # what onnxruntime knows since 1.13

Floats = npt.NDArray[np.float32]


class Graph:
    """A network in the making. Each step takes the name of its input and gives that of its output."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def planes(self, pixels: str) -> str:
        """Bytes (n, height, width, 3) as convolutions take them: floats, a plane for each colour."""
        return self._step("Cast", [self._step("Transpose", [pixels], perm=[0, 3, 1, 2])], to=TensorProto.FLOAT)

    def convolution(
        self, x: str, weights: Floats, bias: Floats, *, stride: int = 1, pad: int = 0, relu: bool = False
    ) -> str:
        """Weights (out, in of a group, height, width) and bias (out,); with one input channel a group it is depthwise
        wherever the input has as many channels as the output.
        """
        groups = len(weights) if weights.shape[1] == 1 else 1
        operands = [x, self._constant(weights), self._constant(bias)]
        out = self._step("Conv", operands, strides=[stride] * 2, pads=[pad] * 4, group=groups)
        return self.relu(out) if relu else out

    def relu(self, x: str) -> str:
        return self._step("Relu", [x])

    def max_pool(self, x: str, side: int, stride: int) -> str:
        return self._step("MaxPool", [x], kernel_shape=[side] * 2, strides=[stride] * 2)

    def add(self, one: str, other: str) -> str:
        return self._step("Add", [one, other])

    def twice(self, x: str) -> str:
        """Twice as high and wide, each value four times."""
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        way = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._step("Resize", [x, "", scales], **way)

    def session(self, source: str, outputs: Sequence[str], *, threads: int = 1) -> onnxruntime.InferenceSession:
        """Ready to be run: `source` are bytes (n, height, width, 3); outputs have four dimensions, too."""
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info(source, TensorProto.UINT8, ["n", "height", "width", 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 4) for name in outputs],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return session(model.SerializeToString(), threads=threads)

    def _constant(self, values: Floats) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), self._name()))
        return self._constants[-1].name

    def _step(self, operator: str, inputs: Sequence[str], **options: Any) -> str:
        out = self._name()
        self._nodes.append(helper.make_node(operator, inputs, [out], **options))
        return out

    def _name(self) -> str:
        return f"v{len(self._nodes)}.{len(self._constants)}"


def session(model: bytes | Path, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """Of a model's bytes or file. With one thread it has no pool of its own, and outlives a fork.

    Raises ValueError for what is no ONNX model.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.log_severity_level = 3  # warnings about unused initialisers are no concern of ours
    options.enable_mem_pattern = False  # pictures have many sizes; a plan of memory for each would stay
    try:
        written = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)
    except DecodeError as error:
        name = "This" if isinstance(model, bytes) else str(model)
        raise ValueError(f"{name} is no ONNX model: {error}.") from error
    flush(written)
    return onnxruntime.InferenceSession(written.SerializeToString(), options, providers=["CPUExecutionProvider"])


def flush(model: onnx.ModelProto) -> None:
    """Make weights nought that training has decayed to less than a float of full precision, in place.

    A processor takes a hundred times as long for a product with one of those: dlib's age network, which has 6,672 of
    them, took 15 ms a face instead of 2. What a face is told stays the same to the last bit.
    """
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor)
            tiny = (values != 0) & (np.abs(values) < np.finfo(np.float32).tiny)
            if tiny.any():
                tensor.CopyFrom(numpy_helper.from_array(np.where(tiny, np.float32(0), values), tensor.name))
