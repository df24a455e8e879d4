"""What bfloat16 changes of what our own networks say, where the processor has AMX: in floats and in it, on real faces.

python -m tests.benchmarks.short_floats

The backbone that ships on LFW's pairs of folds 1 and 2; on 2,000 faces of UTKFace that were not learnt from, gender and
real age by dlib-29 with a head, gender by a mobilefacenet from scratch, each taught on the others for a few minutes.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from annotation.core.datasets.readers import read
from inference.core import dlib_resnet, torch_models
from inference.core.align import align
from inference.core.architectures import DLIB_CROP, DLIB_DEVIATION, DLIB_MEAN
from inference.core.attributes import GENDER, OLDEST, REAL_AGE
from inference.core.bundle import cold_start, open_attribute_model, open_embedder, write_bundle
from inference.core.networks import TaskNetwork, build_task
from inference.core.types import CropSpec
from tests.benchmarks.shared_data import SHARED_DATA, picture, share
from tests.benchmarks.verification import LFW, chosen_landmarks
from training.core.benchmarks import lfw
from training.core.benchmarks.verification import right_pairs

TEST = 2_000  # faces
YEARS = tuple(map(str, range(101)))
PLAIN = (0.5, 0.5, 0.5)
EPOCHS = 1
Opened = TypeVar("Opened")


def both(open_network: Callable[..., Opened], *given: Any) -> list[Opened]:
    """The network in floats, and in bfloat16."""
    found = []
    for short in (False, True):
        torch_models.fits = lambda threads, short=short: short  # type: ignore[assignment, misc]
        found.append(open_network(*given))
    return found


def timed(look: Callable[[Any], Any], faces: npt.NDArray[np.uint8]) -> tuple[Any, float]:
    started = time.process_time()
    told = look(faces)
    return told, 1000 * (time.process_time() - started) / len(faces)


def vectors() -> None:
    pairs = lfw.read(LFW)
    landmarks = chosen_landmarks(sorted({path for pair in pairs for path in (pair.one, pair.other)}))
    place = {path: number for number, path in enumerate(landmarks)}
    crops = np.stack([align(picture(path), points, DLIB_CROP)[0] for path, points in landmarks.items()])
    same, fold = np.array([pair.same for pair in pairs]), np.array([pair.fold for pair in pairs])
    told = [timed(network.embed, crops) for network in both(open_embedder, cold_start())]
    cosines = [np.array([v[place[p.one]] @ v[place[p.other]] for p in pairs]) for v, _ in told]
    print(f"dlib-resnet, {len(crops)} faces of LFW, {len(pairs)} pairs")
    for name, (_, spent), of_pairs in zip(("floats", "bfloat16"), told, cosines, strict=True):
        right = share(int(right_pairs(of_pairs, same, fold).sum()), len(pairs))
        print(f"  {name}: verification {right}, {spent:.2f} ms a face")
    alike = (told[0][0] * told[1][0]).sum(axis=1)
    apart = np.abs(cosines[0] - cosines[1])
    print(f"  the two vectors of a face: cosine {alike.min():.6f} at least; of a pair's similarity "
          f"{apart.max():.5f} at most, {apart.mean():.5f} on average")  # fmt: skip


def attributes(folder: Path) -> None:
    entries = list(read("utkface", SHARED_DATA / "utkface"))
    faces = np.stack([_cut(each.file) for each in entries])
    order = np.random.default_rng(0).permutation(len(entries))
    test, learn = order[:TEST], order[TEST:]
    truth = {
        GENDER.name: np.array([GENDER.index(each.values["gender"]) for each in entries]),
        REAL_AGE.name: np.array([each.age.low for each in entries]).clip(0, 100),
    }
    taught = (
        ("dlib-29", GENDER.name, GENDER.values, _head_taught),
        ("dlib-29", REAL_AGE.name, YEARS, _head_taught),
        ("mobilefacenet", GENDER.name, GENDER.values, _all_taught),
    )
    for architecture, task, values, teach in taught:
        network, side, described = teach(faces[learn], truth[task][learn], len(values))
        weights = folder / f"{architecture}-{task}.safetensors"
        save_file({name: each.contiguous() for name, each in network.state_dict().items()}, weights)
        bundle = write_bundle(
            folder / f"{architecture}-{task}", [weights], name=architecture, task=task, values=values,
            architecture=architecture, dimensions=128, **described,
        )  # fmt: skip
        seen = _sized(faces[test], side)
        told = [timed(model.look, seen) for model in both(open_attribute_model, bundle)]
        print(f"{architecture}, {task}, {TEST} faces of UTKFace")
        _compare(task, [belief for (belief, _), _ in told], [spent for _, spent in told], truth[task][test])


def _compare(task: str, told: Sequence[Any], spent: Sequence[float], truth: npt.NDArray[np.int64]) -> None:
    years = np.arange(OLDEST + 1)
    for name, belief, ms in zip(("floats", "bfloat16"), told, spent, strict=True):
        right = f"right in {np.mean(belief.argmax(axis=1) == truth):.4f}"
        off = f"off by {np.abs(belief @ years - truth).mean():.3f} years" if task == REAL_AGE.name else right
        loss = -np.log(belief[range(len(truth)), truth].clip(1e-9)).mean()
        print(f"  {name}: {off}, log loss {loss:.4f}, {ms:.2f} ms a face")
    apart = np.abs(told[0] - told[1])
    others = int((told[0].argmax(axis=1) != told[1].argmax(axis=1)).sum())
    more = (
        f"a mean by {np.abs((told[0] - told[1]) @ years).max():.2f} years"
        if task == REAL_AGE.name
        else f"{others} decided otherwise"
    )
    print(f"  a probability differs by {apart.max():.4f} at most, {apart.mean():.5f} on average; {more}", flush=True)


def _cut(file: str) -> npt.NDArray[np.uint8]:
    whole = picture(SHARED_DATA / "utkface" / file)
    rim = whole.shape[0] // 10
    return _sized(whole[None, rim:-rim, rim:-rim], 150)[0]


def _sized(faces: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    return np.stack([cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA) for face in faces])


Taught = tuple[TaskNetwork, int, dict[str, Any]]


def _head_taught(faces: npt.NDArray[np.uint8], truth: npt.NDArray[np.int64], outputs: int) -> Taught:
    """dlib's weights as they ship, and a head on their features."""
    network = build_task("dlib-29", outputs, dimensions=128).eval()
    network.trunk.load_state_dict(dlib_resnet.read(cold_start().main_weights).state_dict())
    described = {"crop": DLIB_CROP, "mean": DLIB_MEAN, "deviation": DLIB_DEVIATION}
    pixels = torch_models._Pixels(DLIB_MEAN, DLIB_DEVIATION, flip=False)
    with torch.no_grad():
        seen = torch.cat(
            [network.see(pixels(torch.from_numpy(faces[at : at + 32]))) for at in range(0, len(faces), 32)]
        )
    steps = torch.optim.AdamW(network.head.parameters(), lr=3e-2)
    for _ in range(600):
        steps.zero_grad()
        cross_entropy(network.decide(seen), torch.from_numpy(truth)).backward()
        steps.step()
    return network, DLIB_CROP.size, described


def _all_taught(faces: npt.NDArray[np.uint8], truth: npt.NDArray[np.int64], outputs: int) -> Taught:
    """All of a mobilefacenet, from nothing."""
    torch.manual_seed(0)
    rng, described = np.random.default_rng(0), {"crop": CropSpec("arcface-112", 112), "mean": PLAIN, "deviation": PLAIN}
    small, pixels = _sized(faces, 112), torch_models._Pixels(PLAIN, PLAIN, flip=False)
    network = build_task("mobilefacenet", outputs, dimensions=128).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    total = EPOCHS * (len(small) // 64)
    steps = torch.optim.AdamW(network.parameters(), lr=4e-3)
    rates = torch.optim.lr_scheduler.OneCycleLR(steps, 4e-3, total_steps=total)
    for _ in range(total):
        some = rng.choice(len(small), 64, replace=False)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(pixels(torch.from_numpy(small[some])))
        steps.zero_grad()
        cross_entropy(logits.float(), torch.from_numpy(truth[some])).backward()
        steps.step()
        rates.step()
    return network.eval(), 112, described | {"flip": True}


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    vectors()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as folder:
        attributes(Path(folder))


if __name__ == "__main__":
    main()
