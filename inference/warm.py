"""What the first request would otherwise wait for: networks opened and run once, a decoder started."""

import logging
import time

import cv2
import numpy as np
from django.db import DatabaseError, connection

from inference import batching, registry
from inference.core.bundle import BadBundle
from inference.core.detect import cold_detector
from inference.core.embed import UnusableBackbone
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import Crops, CropSpec
from inference.decoding import decode

log = logging.getLogger(__name__)


def warm_up() -> bool:
    """For each process of the web server, before its first request. Returns whether predictions are ready.

    A model that cannot be opened, or a database without tables yet, keeps the pages from nobody: that is logged, and
    who asks for a prediction is told.
    """
    started = time.monotonic()
    try:
        _look_once()
    except (DatabaseError, BadBundle, UnusableBackbone, OSError):
        log.exception("Predictions are not ready")
        return False
    finally:
        connection.close()  # a forked copy must not share it
    log.info("Predictions are ready after %.1f s", time.monotonic() - started)
    return True


def _look_once() -> None:
    _, encoded = cv2.imencode(".jpg", np.zeros((480, 640, 3), np.uint8))
    find_faces(decode(encoded.tobytes()).picture, cold_detector(), cold_landmarker())
    network = registry.embedder(registry.ensure_live())
    batching.embed(network, _blank(network.crop))
    for version in registry.ensure_attributes().values():
        model = registry.attribute_model(version)
        batching.look(model, _blank(model.crop))
        registry.sureness(version)


def _blank(crop: CropSpec) -> Crops:
    return np.zeros((1, crop.size, crop.size, 3), np.uint8)
