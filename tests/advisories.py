"""Whether a pinned package has a known hole: python -m tests.advisories

pip-audit asks PyPI (or OSV) about every line of constraints.txt. It calls clean what it could not ask about; so it is
asked about a version with well-known holes first, and where it hears of none, nothing was audited, and that is said.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

PINS = Path(__file__).resolve().parent.parent / "constraints.txt"
ACCEPTED = Path(__file__).with_name("advisories.toml")
FULL_OF_HOLES = "django==3.2.0"
SERVICES = {"pypi": "pypi.org", "osv": "api.osv.dev"}
PATIENCE = 60  # seconds for one package, 900 for all


def main() -> int:
    service = next((each for each in SERVICES if any(holes(ask([FULL_OF_HOLES], each, PATIENCE)))), None)
    if service is None:
        print(f"Dependencies: NOT AUDITED: cannot reach an advisory service ({', '.join(SERVICES.values())}).")
        return 0
    told = ask(pins(PINS.read_text()), service, 15 * PATIENCE)
    wrong, accepted = sorted_out(told, tomllib.loads(ACCEPTED.read_text()), date.today())
    for line in wrong:
        print(line)
    print(f"Dependencies: {len(told)} audited by {SERVICES[service]}, {len(accepted)} accepted, {len(wrong)} to mend.")
    return 1 if wrong else 0


def pins(text: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(r"[\w.-]+==", line)]


def ask(packages: list[str], service: str, seconds: float) -> list[dict[str, Any]]:
    """What pip-audit says of each; nothing if it does not get through."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(packages))
        file.flush()
        command = ["-m", "pip_audit", "-r", file.name, "-s", service, "--no-deps", "--disable-pip", "-f", "json"]
        try:
            done = subprocess.run(
                [sys.executable, *command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=seconds
            )
            return list(json.loads(done.stdout)["dependencies"])
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return []


def holes(told: list[dict[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(package, version, advisory) of each."""
    for each in told:
        yield from ((each["name"], each["version"], hole) for hole in each.get("vulns", []))


def sorted_out(told: list[dict[str, Any]], accepted: dict[str, Any], today: date) -> tuple[list[str], list[str]]:
    """What is to be mended, and what somebody accepted, with a reason, until a day that has not come yet."""
    wrong, fine = [], []
    for package, version, hole in holes(told):
        names = {hole["id"], *hole.get("aliases", [])}
        entry = next((accepted[name] for name in names if name in accepted), None)
        if entry is not None and entry["reason"] and entry["until"] >= today:
            fine.append(hole["id"])
            continue
        ways = ", ".join(hole.get("fix_versions", [])) or "none yet"
        ended = " (it was accepted, but no longer)" if entry else ""
        wrong.append(
            f"{package} {version} has {hole['id']}{ended}: {hole.get('description', '')[:200]} Mended in: {ways}."
        )
    wrong += [f"{each['name']} was not audited: {each['skip_reason']}" for each in told if "skip_reason" in each]
    return wrong, fine


if __name__ == "__main__":
    sys.exit(main())
