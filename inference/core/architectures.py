"""What must be known of networks before one is opened: their names, and dlib's pixels. Nothing here imports torch."""

from inference.core.types import CropSpec

ARCHITECTURES = ["dlib-29", "iresnet18", "iresnet50", "mobilefacenet"]  # `networks.register` adds a user's own

DLIB_CROP, DLIB_DIMENSIONS = CropSpec("dlib-150", 150), 128
# Of dlib's training pictures, RGB, as shares of 255; dlib divides by 256.
DLIB_MEAN = (122.782 / 255, 117.001 / 255, 104.298 / 255)
DLIB_DEVIATION = (256 / 255,) * 3
