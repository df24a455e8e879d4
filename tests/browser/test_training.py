"""The page of a training as somebody sees it while it learns, and the pages of models."""

from pathlib import Path

import pytest
from playwright.sync_api import expect
from pytest_django import Settings

from annotation.models import User
from tests.browser.scenes import Site, faces_of
from tests.browser.test_pages import assert_fits_and_hinders_nobody, faults_of
from tests.factories import a_user
from tests.training.test_views import HISTORY, a_release, a_training, an_evaluation
from training.models import TrainingRun

pytestmark = pytest.mark.django_db(transaction=True)

PROGRESS = {"epoch": 4, "step": 35, "steps": 80, "loss": 0.25, "rate": 0.001, "images_per_second": 41.2}


@pytest.fixture(autouse=True)
def models_folder(settings: Settings, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "models"


def a_running_one() -> TrainingRun:
    return a_training(state="running", history=HISTORY, progress={**PROGRESS, "seconds_left": 600.0})


@pytest.mark.parametrize("width", [375, 1280])
def test_curves_grow_while_a_training_learns_and_the_page_follows_its_end(site: Site, width: int) -> None:
    run = a_running_one()
    site.page.set_viewport_size({"width": width, "height": 800})
    site.sign_in(a_user("eve", User.Role.ENGINEER))

    page = site.open(f"/trainings/{run.pk}/")

    expect(page.get_by_text("step 35 of 80; loss 0.25; 41 images a second; about 10 min left")).to_be_visible()
    expect(page.get_by_role("img", name="Loss by epoch: 1, 0.5, 0.3333")).to_be_visible()
    expect(page.locator(".curve").first.locator("circle")).to_have_count(3)
    run.history = [*HISTORY, {**HISTORY[0], "epoch": 3, "loss": 0.2}]
    run.save()
    expect(page.locator(".curve").first.locator("circle")).to_have_count(4)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not (faults := faults_of(page)), faults
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("It stops within seconds")).to_be_visible()
    TrainingRun.objects.update(state="stopped", stop_wanted=False, progress={})
    expect(page.get_by_role("button", name="Go on")).to_be_visible()


def test_the_pages_of_models_fit_every_screen_and_hinder_nobody(site: Site) -> None:
    run, judged = a_running_one(), an_evaluation(faces_of(1, 3), a_release("autumn"))
    site.page.emulate_media(reduced_motion="reduce")
    site.sign_in(a_user("eve", User.Role.ENGINEER))
    for address in (
        "/trainings/",
        f"/trainings/{run.pk}/",
        "/models/",
        f"/models/{judged.version_id}/",
        f"/models/judged/{judged.pk}/faces",
        "/leader-board/?task=emotion",
    ):
        page = site.open(address)
        page.wait_for_load_state("load")
        assert_fits_and_hinders_nobody(page, address)


def test_no_column_of_the_leader_board_is_squeezed_to_a_letter_on_a_phone(site: Site) -> None:
    site.page.set_viewport_size({"width": 375, "height": 800})
    site.sign_in(a_user("eve", User.Role.ENGINEER))

    page = site.open("/leader-board/?task=gender")

    widths = page.locator("tbody td").evaluate_all("cells => cells.map(cell => cell.clientWidth)")
    assert widths
    assert min(widths) > 40
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
