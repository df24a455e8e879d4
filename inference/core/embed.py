"""From an aligned crop to a unit vector by any ONNX backbone; networks of ours are in `torch_models`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.core.onnx_graph import session
from inference.core.types import Crops, CropSpec, Vectors

# Beyond it a face takes no less time, and of a MobileFaceNet more, as what it holds of all faces at once outgrows the
# processor's cache (four of them in bfloat16, of 1, 2, 4, 8 faces, one core: 7.1, 5.9, 5.5, 8.4 ms a face).
LARGEST_BATCH = 4


class CropsDoNotFit(ValueError):
    def __init__(self, shape: tuple[int, ...], size: int) -> None:
        super().__init__(
            f"This backbone takes RGB crops of shape (n, {size}, {size}, 3), got {shape}. Align them anew."
        )


class UnusableBackbone(ValueError):
    """An ONNX file that is not an embedding network of the promised kind."""


class OnnxEmbedder:
    """Any ONNX backbone with one picture input (n, 3, size, size) and one vector output."""

    def __init__(
        self,
        model: Path,
        *,
        crop: CropSpec,
        dimensions: int,
        mean: Sequence[float],  # of a channel, as shares of 255, in the network's own order of channels
        deviation: Sequence[float],
        channels: str = "rgb",  # or bgr
        flip: bool = False,
        threads: int = 1,
    ) -> None:
        self._session = session(model, threads=threads)
        self._input = self._session.get_inputs()[0]
        self._batch = _batch_of(model, self._input.shape, crop.size)
        self._mean = np.array(mean, np.float32) * 255
        self._deviation = np.array(deviation, np.float32) * 255
        self._flip = flip
        self._step = {"rgb": 1, "bgr": -1}[channels]
        self.crop = crop
        self.dimensions = dimensions
        self._require_dimensions(model)

    def embed(self, crops: Crops) -> Vectors:
        """Vectors of unit length (n, dimensions) for crops (n, size, size, 3). Raises CropsDoNotFit."""
        require_crops(crops, self.crop.size)
        return _in_batches(self._run, crops, batch=self._batch, dimensions=self.dimensions, flip=self._flip)

    def _run(self, crops: Crops) -> npt.NDArray[np.float32]:
        pixels = (crops[..., :: self._step].astype(np.float32) - self._mean) / self._deviation
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        (vectors,) = self._session.run([self._session.get_outputs()[0].name], {self._input.name: pixels})
        return np.asarray(vectors, np.float32)

    def _require_dimensions(self, model: Path) -> None:
        """One blank crop through the network: what it says it does is seen now, not on the first photo."""
        shape = self._run(np.zeros((1, self.crop.size, self.crop.size, 3), np.uint8)).shape
        if shape != (1, self.dimensions):
            raise UnusableBackbone(f"{model.name} gives vectors of shape {shape[1:]}, not ({self.dimensions},).")


def _batch_of(model: Path, shape: Sequence[int | str | None], size: int) -> int:
    """How many crops one call may take: what the file fixes, or LARGEST_BATCH. Raises UnusableBackbone."""
    fixed = [side if isinstance(side, int) else None for side in shape]
    if len(fixed) != 4 or fixed[1] not in (3, None) or any(side not in (size, None) for side in fixed[2:]):
        raise UnusableBackbone(f"{model.name} takes an input of shape {list(shape)}, not [n, 3, {size}, {size}].")
    return fixed[0] or LARGEST_BATCH


def _in_batches(
    run: Callable[[Crops], npt.NDArray[np.float32]], crops: Crops, *, batch: int, dimensions: int, flip: bool
) -> Vectors:
    """Unit vectors (n, dimensions); with `flip` each is that of the crop and of its mirror image added up."""
    vectors = np.empty((len(crops), dimensions), np.float32)
    for start in range(0, len(crops), batch):
        part = crops[start : start + batch]
        vectors[start : start + batch] = _mirrored(run, part, batch) if flip else run(part)
    return unit(vectors)


def _mirrored(run: Callable[[Crops], npt.NDArray[np.float32]], crops: Crops, batch: int) -> npt.NDArray[np.float32]:
    """The sum of the vectors of crops and of their mirror images; of few faces in one run, which takes less time."""
    turned = crops[:, :, ::-1]
    if 2 * len(crops) > batch:
        return run(crops) + run(turned)
    both = run(np.concatenate([crops, turned]))
    return both[: len(crops)] + both[len(crops) :]


def require_crops(crops: Crops, size: int) -> None:
    """Raises CropsDoNotFit."""
    if crops.ndim != 4 or crops.dtype != np.uint8 or (len(crops) and crops.shape[1:] != (size, size, 3)):
        raise CropsDoNotFit(crops.shape, size)


def unit(vectors: npt.NDArray[np.float32]) -> Vectors:
    """The same directions with length one; a vector of zeros stays as it is."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
