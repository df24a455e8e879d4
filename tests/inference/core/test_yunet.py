import _ctypes
import ctypes
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.core.packaged import packaged_file
from inference.core.types import Picture
from inference.core.yunet import NotYuNet, YuNet
from tests.inference.core.drawn_face import add_face, drawn_face

LIBRARY = packaged_file("yuface", "libfacedetection.so.v0.0.3")


def as_the_library_sees_it(picture: Picture) -> list[list[int]]:
    """What libfacedetection's own function finds: score in hundredths, box and five points in whole pixels."""
    library = ctypes.CDLL(str(LIBRARY))
    detect = library._Z14facedetect_cnnPhS_iii
    detect.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    bgr = np.ascontiguousarray(picture[:, :, ::-1])
    height, width = bgr.shape[:2]
    buffer = np.zeros(4 + 32 * 1024, np.uint8)
    library.omp_set_num_threads(1)
    detect(buffer.ctypes.data, bgr.ctypes.data, width, height, width * 3)
    count = int(buffer[:4].view(np.int32)[0])
    return buffer[4 : 4 + 32 * count].view(np.int16).reshape(count, 16)[:, :15].tolist()


@pytest.mark.parametrize(("width", "height"), [(320, 330), (640, 480), (353, 401)])
def test_it_sees_what_the_library_sees_to_the_pixel(width: int, height: int) -> None:
    drawn = Image.fromarray(drawn_face(width=width, height=height, centre=(150, 165)))
    add_face(drawn, centre=(width - 45, height - 60), scale=0.4)
    picture = np.asarray(drawn)

    ours = YuNet(LIBRARY).look(picture, least=0.5)

    theirs = [row for row in as_the_library_sees_it(picture) if row[0] >= 50]
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        assert int(100 * one[0]) == pytest.approx(other[0], abs=1)
        np.testing.assert_allclose(one[1:], np.add(other[1:], 0.5), atol=0.51)  # it cuts fractions off


def test_a_library_without_these_weights_is_refused() -> None:
    with pytest.raises(NotYuNet, match=r"constraints\.txt"):
        YuNet(Path(_ctypes.__file__))


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="colour picture"):
        YuNet(LIBRARY).look(np.zeros((40, 40, 1), np.uint8), least=0.5)
