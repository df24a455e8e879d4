"""README, the settings, the Makefile and pyproject.toml tell the same story."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
PYPROJECT = (REPOSITORY / "pyproject.toml").read_text()


def _section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_every_setting_is_documented_and_every_documented_one_exists():
    settings = (REPOSITORY / "dager_site/settings.py").read_text()
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', settings))

    assert read == set(re.findall(r"^\| `([A-Z_]+)`", _section("Configuration"), re.MULTILINE))


def test_settings_read_the_environment_only_through_the_typed_readers():
    settings = (REPOSITORY / "dager_site/settings.py").read_text()

    assert not re.findall(r"os\.(?:environ|getenv)", settings)


def test_every_make_target_is_in_its_help():
    said = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    assert set(re.findall(r"^  make ([a-z]+) ", said, re.MULTILINE)) == _targets()
    assert _targets() >= {"run", "test", "lint", "format", "bench", "help"}


def test_the_make_targets_that_readme_names_exist():
    assert set(re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", README, re.MULTILINE)) <= {
        pair for target in _targets() for pair in ((target, ""), ("", target))
    }


def test_the_variables_of_make_run_are_the_options_of_up():
    documented = set(
        re.findall(r"`([A-Z_]+)`", "".join(re.findall(r"^\| (`[^|]*) \|", _section("Two commands"), re.M)))
    )
    passed = re.search(r"for name in ([A-Z_ ]+);", MAKEFILE)

    assert passed
    assert set(passed[1].split()) == documented
    up = (REPOSITORY / "dager_site/management/commands/up.py").read_text()
    assert {f"--{name.lower().replace('_', '-')}" for name in documented} <= set(re.findall(r'"(--[a-z-]+)"', up))


def _dependency_lines() -> list[str]:
    lists = re.findall(r"^(?:dependencies|test) = \[\n(.*?)^\]", PYPROJECT, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in lists for line in block.splitlines()]


@pytest.mark.parametrize("line", _dependency_lines())
def test_each_dependency_says_what_would_break_without_it(line: str):
    assert re.fullmatch(r'"[^"]+",\s+# .{10,}', line)


def test_everything_that_is_depended_on_is_pinned():
    project = tomllib.loads(PYPROJECT)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"], "opencv-python-headless"]
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE))
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}

    assert {re.sub(r"[-_.]+", "-", re.split(r"[<>=\[]", one)[0]).lower() for one in wanted} <= names
    assert pinned["torch"] == "2.13.0"
    assert pinned["opencv-python"] == pinned["opencv-python-headless"]


def test_every_picture_that_readme_shows_is_there():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).is_file()


def test_british_spelling_of_licence():
    # "Apache License" is a name, LICENSE a file's.
    assert not re.findall(r"(?<!\()\blicen[s]e\b", README)
