"""Networks of ours in bfloat16: as onnxruntime tells it, to about three digits, whatever the processor."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from dager_site.processes import SINGLE_THREAD
from inference.core import fused
from inference.core.attributes import GENDER, REAL_AGE
from inference.core.bundle import cold_start, open_attribute_model, open_embedder
from inference.core.compiled import Compiled, DoesNotCompile
from inference.core.embed import LARGEST_BATCH
from inference.core.fused import Fused, fits
from inference.core.networks import build
from tests.inference.core.test_torch_models import a_task_bundle, crops

FLOATS, SHORT = False, True


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch):
    """Opens a network in floats, and in bfloat16 even where that takes longer."""

    def both(open_network, *args):
        found = []
        for kind in (FLOATS, SHORT):
            monkeypatch.setattr("inference.core.torch_models.fits", lambda threads, kind=kind: kind)
            found.append(open_network(*args))
        return found

    return both


@pytest.mark.parametrize("count", [1, 3, LARGEST_BATCH, LARGEST_BATCH + 2])
def test_vectors_point_the_same_way(opened, count: int):
    embedder, short = opened(open_embedder, cold_start())
    faces = np.random.default_rng(0).integers(0, 256, (count, 150, 150, 3)).astype(np.uint8)

    assert (np.sum(embedder.embed(faces) * short.embed(faces), axis=1) > 0.9999).all()


def test_beliefs_are_the_same_to_three_digits(opened, tmp_path: Path):
    for attribute, values in ((GENDER, GENDER.values), (REAL_AGE, tuple(map(str, range(101))))):
        network, short = opened(open_attribute_model, a_task_bundle(tmp_path / attribute.name, attribute, values))
        (belief, features), (shorter, as_short) = network.look(crops(4)), short.look(crops(4))

        np.testing.assert_allclose(shorter, belief, atol=5e-3)
        np.testing.assert_allclose(shorter.sum(axis=1), 1, atol=1e-6)
        assert (np.sum(features * as_short, axis=1) > 0.9999).all()


def test_threads_share_one(opened):
    _, embedder = opened(open_embedder, cold_start())
    faces = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3)).astype(np.uint8)
    wanted = embedder.embed(faces)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: embedder.embed(faces), range(8)):
            np.testing.assert_array_equal(found, wanted)


FORKS = """
import os
import numpy as np
from inference.core import torch_models
from inference.core.bundle import cold_start, open_embedder

torch_models.fits = lambda threads: True
embedder = open_embedder(cold_start())
faces = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3)).astype(np.uint8)
wanted = embedder.embed(faces)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(embedder.embed(faces), wanted) else 1)
print(os.waitpid(child, 0)[1])
"""


def test_forks_share_one_in_a_process_that_computes_with_one_thread():
    """As web processes do. Once OpenMP has started threads, a fork would wait for those that it has not: such a process
    is no place to fork in, and that of the tests may be one."""
    own = os.environ | SINGLE_THREAD

    told = subprocess.run(
        [sys.executable, "-c", FORKS], env=own, capture_output=True, text=True, timeout=120, check=True
    )

    assert told.stdout == "0\n"


def test_what_does_not_take_such_pixels_is_refused():
    with pytest.raises(DoesNotCompile, match=r"does not take pixels of \(3, 64, 64\)"):
        Fused(build("mobilefacenet", 32), torch.zeros(1, 3, 64, 64))


def test_only_a_processor_with_amx_and_the_threads_of_torch_run_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    threads = torch.get_num_threads()
    for name in fused.MAX_ISA:  # whatever the tests are run with
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fused.torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert fits(threads)
    assert not fits(threads + 1)
    for capabilities in ({"amx_bf16": False, "avx512_bf16": True}, {}):  # the second: of another make
        monkeypatch.setattr(fused.torch.cpu, "get_capabilities", lambda known=capabilities: known)
        assert not fits(threads)
    monkeypatch.setattr(fused.torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    for told, fitting in (("AVX512_CORE_BF16", False), ("avx2", False), ("AVX512_CORE_AMX", True), ("DEFAULT", True)):
        for name in fused.MAX_ISA:
            with monkeypatch.context() as only:
                only.setenv(name, told)
                assert fits(threads) == fitting
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    network = open_attribute_model(a_task_bundle(tmp_path, GENDER, GENDER.values), threads=threads)
    assert isinstance(network._run, Compiled)
