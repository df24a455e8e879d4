"""Files that ship inside an installed package: the cold start's weights and its detector."""

from importlib.util import find_spec
from pathlib import Path


class PackagedFileMissing(FileNotFoundError):
    def __init__(self, package: str, file: str) -> None:
        super().__init__(
            f"The package {package} does not offer {file}. Install the pinned version: "
            "`pip install -c constraints.txt` with the name from pyproject.toml."
        )


def packaged_file(package: str, file: str) -> Path:
    """Where a package keeps a file, without importing the package.

    face_recognition_models cannot be imported on a Python without pkg_resources, and
    nothing of it is needed but its folder. Raises PackagedFileMissing.
    """
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / file
        if path.is_file():
            return path
    raise PackagedFileMissing(package, file)
