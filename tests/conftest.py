"""Where the tests run: a data folder of their own, the real data where it is, and a browser that tolerates no error.

The settings read the environment once, so it is laid out here, before Django loads. That is also why
DJANGO_SETTINGS_MODULE is set here and not in pyproject.toml: pytest-django would load the settings first.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.db import connection
from playwright.sync_api import Browser, Page, sync_playwright

from annotation.append_only import unguards

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = Path(os.environ.get("DAGER_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
WITH_SERVICES = "DAGER_TEST_SERVICES" in os.environ  # set by tests/services.py
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _lay_out_environment() -> Path:
    """Gives this process a data folder, and hides from the settings whatever the developer has set for a real one."""
    if "dager_site.settings" in sys.modules:
        raise pytest.UsageError(
            "Django was set up before the tests' folder was. Run them with DJANGO_SETTINGS_MODULE unset."
        )
    for name in list(os.environ):
        if name.startswith("DAGER_") and name not in ("DAGER_SHARED_DATA", "DAGER_TEST_SERVICES"):
            del os.environ[name]
    if not WITH_SERVICES:
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("CELERY_BROKER_URL", None)
    elif WORKER:
        # Two workers on one queue would take each other's tasks. Django gives each its own database by itself.
        os.environ["CELERY_BROKER_URL"] = (
            f"{os.environ['CELERY_BROKER_URL'].rsplit('/', 1)[0]}/{WORKER.removeprefix('gw')}"
        )
    folder = Path(tempfile.mkdtemp(prefix="dager-test-"))
    (folder / "static").mkdir()  # WhiteNoise warns where it is missing
    os.environ["DAGER_DATA"] = str(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
    if WORKER:
        os.environ.setdefault(
            "OMP_NUM_THREADS", "1"
        )  # a worker for each core: more threads only get in each other's way
    return folder


DATA = _lay_out_environment()
# The same examples each time: a landing must not fail by chance. `pytest --hypothesis-profile=default` seeks new ones.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")
# Whole processes, whole pages, whole rehearsals: begun first, so that no worker sits idle while another ends one.
LONGEST = ["dager_site/test_up.py", "browser", "test_journey.py", "annotation/test_rehearsal.py", "training/core"]
DESELECTED = pytest.StashKey[dict[str, int]]()


def pytest_configure(config: pytest.Config) -> None:
    """Loads the settings; pytest-django, whose turn comes next, then sets Django up."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a real one takes half a second
    settings.REQUESTS_A_MINUTE = settings.PREDICTIONS_A_MINUTE = 10**9  # tests ask faster than anybody may


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Workers inherit this environment, and would load the settings before they have a folder of their own."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(DATA, ignore_errors=True)


# ---- what cannot run here is said, never silently passed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    absent = []
    if not SHARED_DATA.is_dir():
        absent.append("realdata")
    if not WITH_SERVICES:
        absent.append("services")
    for item in items:
        if (REPOSITORY / "tests" / "browser") in item.path.parents:
            item.add_marker("browser")
    gone = {name: [item for item in items if item.get_closest_marker(name)] for name in absent}
    deselected = {id(item): item for group in gone.values() for item in group}
    config.hook.pytest_deselected(items=list(deselected.values()))
    items[:] = [item for item in items if id(item) not in deselected]
    items.sort(key=_place)
    config.stash[DESELECTED] = {name: len(group) for name, group in gone.items() if group}


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(REPOSITORY / "tests").as_posix()
    return next((place for place, name in enumerate(LONGEST) if path.startswith(name)), len(LONGEST))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["deselected"] = session.config.stash.get(DESELECTED, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Only the workers collect; the controller that writes the summary hears of it here."""
    if counts := getattr(node, "workeroutput", {}).get("deselected"):
        node.config.stash[DESELECTED] = counts


def pytest_report_header(config: pytest.Config) -> list[str]:
    services = "PostgreSQL and Redis" if WITH_SERVICES else "SQLite and the queue of files"
    return [f"real data: {SHARED_DATA if SHARED_DATA.is_dir() else 'none'}", f"services: {services}"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reason = {"realdata": f"no {SHARED_DATA}", "services": "they run under `python -m tests.services`"}
    for name, count in config.stash.get(DESELECTED, {}).items():
        terminalreporter.write_line(f"{count} {name} tests deselected: {reason[name]}", yellow=True)


@pytest.fixture(scope="session")
def shared_data(request: pytest.FixtureRequest) -> Path:
    """The folder of real faces. Only for tests marked `realdata`, which are deselected where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.fail(f"No {SHARED_DATA}: mark this test with @pytest.mark.realdata.")
    return SHARED_DATA


# ---- the database


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """SQLite in a file, as in use: in memory it has neither WAL nor the locks that WAL is there for."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database.setdefault("TEST", {})["NAME"] = str(DATA / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit empty all tables afterwards, which the audit log's triggers refuse: they are taken away here.

    tests/annotation/test_audit.py puts them back and tries them.
    """
    with django_db_blocker.unblock():
        _unguard()


def _unguard() -> None:
    with connection.cursor() as cursor:
        for statement in unguards(connection.vendor):
            cursor.execute(statement)


@pytest.fixture
def migrating(transactional_db: None) -> Iterator[None]:
    """For a test that goes back and forth in the migrations, which puts the triggers on again."""
    yield
    _unguard()


@pytest.fixture(autouse=True)
def settings_as_the_environment_has_them() -> None:
    """No test finds what another changed, and none asks the database for it at some moment of its own choosing."""
    import_module("annotation.live_settings").hold_for_ever({})


# ---- the browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless. Playwright's own download is neither needed nor wanted."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        pytest.fail("No Chromium. Run `bash tests/system_packages.sh`, which installs it or says how.")
    # Playwright keeps an event loop in this thread; Django would take every query of the test for an async one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page_problems() -> list[str]:
    """What the page complained of. A test that provokes a complaint looks at it here, then clears it."""
    return []


@pytest.fixture
def page(browser: Browser, page_problems: list[str]) -> Iterator[Page]:
    """A fresh tab with no cookies. The test fails if a script failed or the console shows an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.set_default_timeout(15_000)
    tab = context.new_page()
    tab.on("pageerror", lambda error: page_problems.append(f"script: {error}"))
    tab.on("console", lambda line: page_problems.append(f"console: {line.text}") if line.type == "error" else None)
    yield tab
    context.close()
    assert not page_problems
