import subprocess
import sys

from inference.core.architectures import ARCHITECTURES
from inference.core.late import Late
from inference.core.networks import NETWORKS

HEAVY = {"torch", "sklearn", "cleanlab", "matplotlib", "pandas"}
LOOK = f"""
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check"])
found = {HEAVY} & sys.modules.keys()
assert not found, found
from inference.core.late import import_all
import_all()
assert {HEAVY} <= sys.modules.keys()
"""


def test_a_late_module_is_imported_when_something_of_it_is_asked_for():
    late = Late("colorsys")
    assert late.rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv


def test_a_site_that_only_answers_for_pages_imports_no_torch_and_forks_only_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGER_DATA", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "dager_site.settings")
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_networks_are_known_by_name_before_torch_is_there():
    assert set(NETWORKS) <= set(ARCHITECTURES)
    assert {name for name, builder in NETWORKS.items() if builder.__module__.startswith("inference.")} == {
        "dlib-29",
        "iresnet18",
        "iresnet50",
        "mobilefacenet",
    }
