"""A file that nobody vouches for in, the picture and its faces out: reduced where that is enough."""

from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.images import Decoded
from inference.core.landmarks import cold_landmarker
from inference.core.types import FaceFound
from inference.decoding import decode
from inference.metrics import TimedDetector, TimedLandmarker, stage

REDUCED_SIDE = 1600  # px; a photo larger than this is decoded reduced first, which is several times faster

_detector, _landmarker = TimedDetector(cold_detector), TimedLandmarker(cold_landmarker)


def look(data: bytes, *, small: float) -> tuple[Decoded, list[FaceFound]]:
    """The faces of a file, in the pixels of the picture that comes with them. Raises PictureRefused.

    A photo in which a face has a side of less than `small` pixels when it is reduced, or none is seen, is decoded in
    full: crops would be blown up from fewer pixels than there are.
    """
    with stage("decode"):
        decoded = decode(data, max_side=REDUCED_SIDE)
    found = find_faces(decoded.picture, _detector, _landmarker)
    reduced = decoded.width > decoded.picture.shape[1]
    if reduced and (not found or min(face.quality.size for face in found) < small):
        with stage("decode"):
            decoded = decode(data)
        found = find_faces(decoded.picture, _detector, _landmarker)
    return decoded, found
