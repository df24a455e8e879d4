"""No script has words of its own: what it says comes from `words.py`, by name."""

import re
from pathlib import Path

import pytest
from django.apps import apps

from annotation.models import Intake
from annotation.words import EVERYWHERE

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/static/**/*.js"))

LITERAL = r"""//[^\n]*|/\*.*?\*/|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)"""
# What a program says to a browser or a server, not to a person: classes, selectors, headers, keys, methods.
TO_MACHINES = r"""(?:class|style|viewBox|d):\s*$|(?:querySelector(?:All)?|closest|matches|import|from|getElementById
    |setRequestHeader|addEventListener|setProperty|classList\.\w+|includes|startsWith|localStorage\.\w+)\(?\s*$"""
KEPT = {"Accept", "Content-Type", "Escape", "Enter", "Home", "End", "DAGER", "Person"}
CODE = r"Arrow\w+|[A-Z]+|X-\w+|[MLZ]"


def said(code: str) -> list[str]:
    """Literals that hold words: several in a row, one beside a value, or one with a capital."""
    found = []
    for match in re.finditer(LITERAL, code, re.S):
        literal = match[1]
        if literal is None or re.search(TO_MACHINES, code[max(match.start() - 60, 0) : match.start()], re.X):
            continue
        text = re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "\0", literal[1:-1])
        words = re.findall(r"(?<![\w.#\[/=?&-])[A-Za-z]+(?![\w(\]/=.-])", text)
        words = [word for word in words if word not in KEPT and not re.fullmatch(CODE, word)]
        several = len(words) > 1 and " " in text
        beside = words and "\0" in text and re.search(r"(^|\s)[A-Za-z]{2,}(\s|$|,)", text)
        capital = any(word[0].isupper() for word in words)
        if several or beside or capital:
            found.append(literal)
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_no_words_of_its_own(name: str):
    assert said((ROOT / name).read_text()) == []


def test_words_in_a_script_would_be_found():
    code = """// Not a word of this.
    tell("The line is lost."); tell(`${n} of ${total}`); tell(`${n} selected`); tell('Done');
    tell(one ? "not sent" : say("x"));
    element("div", { class: "bar intake" }); root.querySelector("[data-a] > b c"); say("line_lost");
    headers["X-CSRFToken"] = 1; key === "ArrowDown"; element("svg", { viewBox: `0 0 ${a} ${b}` });
    import x from "./words.js"; ask(`/api/v1/x?limit=${n}`);
    """
    assert said(code) == ['"The line is lost."', "`${n} of ${total}`", "`${n} selected`", "'Done'", '"not sent"']


def test_every_word_of_all_pages_is_said_by_one():
    code = "".join((ROOT / name).read_text() for name in SCRIPTS)
    built = {f"intake_{each}" for each in (*Intake.Kind.values, *Intake.State.values)}
    built |= {f"intake_{each}" for each in ("taken", "copies", "known", "skipped")}
    outcomes = ("taken", "copy", "known", "delivery", "refused", "failed")
    built |= {f"{of}_{each}" for of in ("file", "files") for each in outcomes}
    assert {name for name in EVERYWHERE if f'"{name}"' not in code} - built == set()
    assert built - set(EVERYWHERE) == set()


def test_all_scripts_are_looked_at():
    assert {name.split("/")[0] for name in SCRIPTS} == {"annotation", "training"}
    assert all(apps.is_installed(name.split("/")[0]) for name in SCRIPTS)
