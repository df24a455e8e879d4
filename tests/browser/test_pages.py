"""The other pages in a real browser: from sign-in to export, on a phone, in the dark."""

import csv
import re
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, Route, expect
from pytest_django import Settings

from annotation import dashboard, gallery, maps, tasks, tokens, workers
from annotation.answers import record_answer
from annotation.core.drawn import draw_portrait
from annotation.models import Answer, Face, FaceSearch, Identity, Label, MapPoint, Photo, Snapshot
from inference import registry
from inference.models import ModelVersion
from tests.annotation.test_releases import released, says, with_picture
from tests.browser.scenes import PASSWORD, Site, a_cluster_question, a_pair_question, faces_of
from tests.factories import (
    a_certificate,
    a_cluster,
    a_grid,
    a_person,
    a_photo,
    a_question,
    a_run,
    a_single,
    a_source,
    a_user,
    an_annotator,
    an_embedding,
)
from training import tasks as training_tasks

pytestmark = pytest.mark.django_db(transaction=True)


def a_file(name: str, seed: int) -> dict[str, object]:
    content = BytesIO()
    draw_portrait(seed, seed, (120, 140)).save(content, "JPEG")
    return {"name": name, "mimeType": "image/jpeg", "buffer": content.getvalue()}


def test_from_signing_in_to_the_exported_labels(site: Site, tmp_path: Path) -> None:
    page = site.open("/")
    page.get_by_label("User name").fill("carol")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    page.get_by_role("link", name="Make a source").click()
    page.get_by_label("Name").fill("Holiday")
    page.get_by_role("button", name="Make it").click()
    page.get_by_label("Choose files").set_input_files(
        [a_file("one.jpg", 1), a_file("two.jpg", 2), {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"no"}]
    )
    expect(page.get_by_text("3 of 3: 2 taken in, 1 refused")).to_be_visible()
    expect(page.get_by_text("The content is no JPEG, PNG or WebP picture")).to_be_visible()
    assert Photo.objects.count() == 2

    a_cluster_question()
    site.open("/").get_by_role("link", name="Annotate").last.click()
    expect(page.locator(".tile")).to_have_count(6)
    page.get_by_role("button", name="Ada 6").click()  # the search term as the name
    page.get_by_role("button", name="All 6 are one person").click()
    expect(page.get_by_text("No question waits for you.")).to_be_visible()
    page.wait_for_load_state("networkidle")

    site.open("/export/")
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    started.value.save_as(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["identity_name"], row["decided_by"]) for row in rows] == [("Ada", "carol")] * 6


def test_a_folder_dropped_on_the_page_is_uploaded_file_by_file(site: Site) -> None:
    source = a_source()
    site.sign_in()
    page = site.open(f"/sources/{source.pk}/upload")

    files = [a_file(f"{number}.jpg", number)["buffer"] for number in range(5)]
    page.evaluate(
        """(files) => {
          const data = new DataTransfer();
          files.forEach((bytes, index) => data.items.add(new File([new Uint8Array(bytes)], `${index}.jpg`)));
          const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true });
          document.querySelector("[data-drop]").dispatchEvent(drop);
        }""",
        [list(content) for content in files],
    )

    expect(page.get_by_text("5 of 5: 5 taken in")).to_be_visible()
    assert source.photos.count() == 5


def test_faces_are_chosen_by_click_stretch_and_key_and_split_off(site: Site) -> None:
    person = a_person(faces_of(1, 6), name="Ada")
    site.sign_in()
    page = site.open(f"/people/{person.pk}/")
    boxes = page.get_by_role("checkbox")
    expect(page.get_by_role("button", name="Another person")).to_be_disabled()

    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.keyboard.press("s")

    expect(page.get_by_text("4 faces split off as person")).to_be_visible()
    assert Label.objects.filter(identity=person).count() == 2
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert Label.objects.filter(identity=person).count() == 6


def test_a_key_that_is_pressed_twice_acts_once(site: Site) -> None:
    person = a_person(faces_of(1, 6), name="Ada")
    site.sign_in()
    page = site.open(f"/people/{person.pk}/")

    sent: list[Route] = []
    page.route("**/faces/act", lambda route: sent.append(route))  # as by a slow server

    page.keyboard.press("a")
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.wait_for_timeout(300)
    assert len(sent) == 1
    sent[0].continue_()

    expect(page.get_by_text("6 faces: not a face.")).to_be_visible()
    assert Answer.objects.filter(content__act="not_a_face").count() == 1
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert Label.objects.filter(identity=person).count() == 6


@pytest.mark.parametrize("name", ["", "Ada"])
def test_a_name_that_is_not_typed_yet_is_typed_next(site: Site, name: str) -> None:
    person = a_person(faces_of(1, 2), name=name)
    site.sign_in()
    page = site.open(f"/people/{person.pk}/")

    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    page.keyboard.type("Anna")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Named Anna.")).to_be_visible()
    assert Label.objects.filter(identity=person).count() == 2


def test_enter_after_a_name_moves_the_faces_to_whom_it_names(site: Site) -> None:
    person, ada = a_person(faces_of(1, 2)), a_person(faces_of(2, 1), name="Ada")
    site.sign_in()
    page = site.open(f"/people/{person.pk}/")

    page.get_by_role("checkbox").first.check()
    page.keyboard.press("Enter")  # no name yet
    expect(page.get_by_label("Move to whom")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")

    expect(page.get_by_text("1 face: Ada.")).to_be_visible()
    assert (person.labels.count(), ada.labels.count()) == (1, 2)


def test_somebody_is_merged_with_a_person_found_by_name(site: Site) -> None:
    one, other = a_person(faces_of(1, 2), name="Ada"), a_person(faces_of(2, 3), name="Augusta")
    site.sign_in()
    page = site.open(f"/people/{one.pk}/")

    page.get_by_label("Merge with whom").press_sequentially("August")
    expect(page.locator("#people-names option")).to_have_attribute("value", f"Augusta (#{other.pk})")
    page.get_by_label("Merge with whom").fill(f"Augusta (#{other.pk})")
    page.get_by_role("button", name="Merge with").click()
    expect(page.get_by_text("2 people become one, with 5 faces.")).to_be_visible()
    page.get_by_role("button", name="Merge: 5 faces of Ada").click()

    expect(page.get_by_text(f"Merged person {other.pk} into this one.")).to_be_visible()
    assert Identity.objects.get(pk=other.pk).merged_into == one


def test_people_are_selected_looked_at_and_merged_at_once(site: Site) -> None:
    people = [a_person(faces_of(number, 2), name=f"Ada {number}") for number in (1, 2, 3)]
    site.sign_in()
    page = site.open("/people/")
    expect(page.get_by_role("button", name="Merge …")).to_be_disabled()

    for person in people:
        page.get_by_role("checkbox", name=f"Select {person.name}").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("m")
    expect(page.get_by_text("3 people become one, with 6 faces.")).to_be_visible()
    page.get_by_role("radio", name="The others become Ada 2").check()
    page.get_by_role("button", name="Merge: 6 faces").click()

    expect(page.get_by_text("Merged 2 people into this one.")).to_be_visible()
    assert {Identity.objects.get(pk=person.pk).merged_into_id for person in people} == {None, people[1].pk}
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert not Identity.objects.exclude(merged_into=None).exists()


def test_a_threshold_is_dragged_until_those_who_do_not_belong_fall_out(site: Site) -> None:
    faces = faces_of(1, 6)
    live = ModelVersion.objects.get(task="embedding")
    for number, face in enumerate(faces):
        an_embedding(face, live, [1, 0.1, 0, 0] if number < 4 else [0.2, 0, 1, 0])
    person = a_person(faces, name="Ada")
    site.sign_in()
    page = site.open(f"/people/{person.pk}/split")
    expect(page.get_by_role("button", name="They are one other person")).to_be_disabled()

    slider = page.get_by_role("slider", name="Falls out below")
    slider.focus()
    slider.fill("0.6")
    expect(page.get_by_text("2 of 6 fall out")).to_be_visible()
    expect(page.locator("#alike .out")).to_have_count(2)
    page.keyboard.press("s")

    expect(page.get_by_text("2 faces split off as person")).to_be_visible()
    assert set(Label.objects.exclude(identity=person).values_list("face_id", flat=True)) == {f.pk for f in faces[4:]}
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert Label.objects.filter(identity=person).count() == 6


def test_a_photo_is_dropped_to_find_who_it_may_be(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_held", None)
    ModelVersion.objects.all().delete()
    live, faces = registry.ensure_live(), faces_of(1, 2)
    for face in faces:
        an_embedding(face, live, [1.0] * live.dimensions)
    a_person(faces, name="Ada")
    site.sign_in()
    page = site.open("/people/by-face")

    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "who.jpg", { type: "image/jpeg" }));
          const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.querySelector("[data-drop-one]").dispatchEvent(drop);
        }""",
        list(a_file("who.jpg", 3)["buffer"]),
    )

    expect(page.get_by_role("region", name="Face 1")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("region", name="Face 1").get_by_text("Ada")).to_be_visible()
    expect(page.get_by_text("carol").last).to_be_visible()
    assert FaceSearch.objects.get().by == site.curator


def test_a_conflict_is_decided_by_one_key(site: Site) -> None:
    face = faces_of(1, 1)[0]
    question = a_single(face, attribute="emotion", purpose="verdict")
    site.sign_in()
    page = site.open(f"/curate/{question.pk}/")
    expect(page.get_by_role("button", name="Sad 6")).to_be_visible()

    page.keyboard.press("6")

    expect(page.get_by_text("Decided: sad.")).to_be_visible()
    question.refresh_from_db()
    assert question.state == "settled"


def test_answers_of_others_appear_while_a_curator_watches_until_they_are_held_still(site: Site) -> None:
    site.sign_in()
    page = site.open("/curate/live")
    expect(page.get_by_text("No answer yet.")).to_be_visible()
    question = a_cluster_question()

    record_answer(
        question_id=question.pk, annotator=an_annotator("ann"), client_id=uuid4(), content={"verdict": "one_person"}
    )

    expect(page.get_by_text("1 new.")).to_be_visible(timeout=10_000)
    expect(page.locator("#watched img")).to_have_count(6)
    page.keyboard.press("p")
    expect(page.get_by_text("Held still.")).to_be_visible()
    expect(page.get_by_role("button", name="Hold still")).to_have_attribute("aria-pressed", "true")


PAGES = [
    "/", "/dashboard/", "/annotate/", "/annotate/?kind=pair", "/answers/", "/people/", "/clusters/", "/photos/",
    "/faces/", "/sources/", "/sources/new", "/runs/", "/engine/", "/releases/", "/releases/new", "/export/",
    "/password", "/people/alike", "/people/by-face", "/people/acts", "/people/acts?only=merges",
    "/curate/", "/curate/decided", "/curate/live", "/curate/annotators/", "/tokens/",
]  # fmt: skip


@pytest.fixture
def furnished(site: Site, settings: Settings, tmp_path: Path) -> list[str]:
    """The addresses of all pages, each with something on it."""
    question, pair = a_cluster_question(1, 24), a_pair_question()
    face = question.shown.first().face
    source, person = face.photo.source, pair.identity
    source.refusals.create(file="a/very/long/" + "name" * 40 + ".jpg", code="damaged", reason="Truncated. " * 10)
    source.intakes.create(kind="folder", state="running", total=100, taken=40, refused=1)
    conflict = a_single(face, attribute="emotion", purpose="verdict")
    say = {"annotator": site.curator, "content": {"verdict": "value", "value": "sad"}, "actions": 1}
    answer = a_single(face, attribute="emotion", state="settled", settled_at=timezone.now()).answers.create(**say)
    answer.votes.create(annotator=site.curator, face=face, attribute="emotion", value="sad")
    example = {"kind": "split", "groups": [[face.pk], [face.pk]], "note": "2 faces of one group go to 2 groups"}
    run = a_run(state="proposed")
    run.changes = {"faces": 29, "clusters": 3, "examples": [example]}
    run.save()
    settings.RELEASES_DIR = tmp_path
    says(with_picture(face))
    says(face, "real_age", "33.50", detail={"low": 33, "high": 34})
    first, second = released(), released("A second one, with a name as long as names can be: " + "name " * 9)
    tokens.make(owner=site.curator, name="Nightly import of the archive", scopes=["predict", "curate"], days=90)
    first.erasures.create(sha256="ab" * 32, faces=[face.pk])
    counted()
    site.sign_in()
    own = [
        f"/releases/{first.pk}/",
        f"/releases/{second.pk}/",
        f"/people/{person.pk}/",
        f"/people/{person.pk}/merge?other=%23{pair.other_identity_id}",
        f"/people/{person.pk}/split",
        f"/clusters/{question.cluster_id}/",
        f"/photos/{face.photo_id}/",
        f"/faces/{face.pk}/",
        f"/sources/{source.pk}/",
        f"/sources/{source.pk}/upload",
        f"/sources/{source.pk}/refusals",
        f"/runs/{run.pk}/",
        f"/curate/{conflict.pk}/",
        f"/curate/annotators/{site.curator.pk}/",
    ]
    return [*PAGES, *own]


def counted() -> None:
    """Figures of an hour, a map, a failure, workers."""
    now = timezone.now()
    live = ModelVersion.objects.get(task="embedding")
    for number, face in enumerate(Face.objects.order_by("pk")[:20]):
        an_embedding(face, live, [1, number % 2, number / 20, 0])
    Photo.objects.filter(pk=Photo.objects.latest("pk").pk).update(failure="OSError: " + "a long reason " * 20)
    workers.heard("celery@a-machine-with-a-long-name", queues=["default", "train", "vision"], processes=16)
    for minutes in range(60, 0, -2):
        counts = {"photos": 600 - minutes, "faces": 700 - minutes, "labelled": 3 * minutes}
        Snapshot.objects.create(at=now - timedelta(minutes=minutes), counts=counts)
    a_certificate()
    dashboard.take()
    maps.keep_up()


def test_the_dashboard_is_drawn_follows_what_happens_and_tries_again(
    site: Site, furnished: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.sweep, "delay", lambda: None)
    monkeypatch.setattr(training_tasks.sweep, "delay", lambda: None)
    page = site.open("/dashboard/")
    expect(page.locator("[data-plot=lines] svg").first).to_be_visible()
    expect(page.locator("[data-plot=columns] rect").first).to_be_visible()
    page.locator("[data-plot=columns] summary").first.click()
    expect(page.locator("[data-plot=columns] table").first).to_be_visible()

    page.get_by_role("button", name="Closer").click()
    page.get_by_role("button", name="All of it").click()
    dots = page.locator("svg.dots")
    dots.scroll_into_view_if_needed()
    point, box = MapPoint.objects.order_by("pk").first(), dots.bounding_box()
    dots.click(position={"x": point.x * box["width"], "y": (1 - point.y) * box["height"]})
    expect(page.locator("[data-map-chosen] img")).to_be_visible()
    expect(page.locator("[data-map-chosen]").get_by_role("link", name="Face").first).to_have_attribute(
        "href", re.compile(r"^/faces/\d+/$")
    )

    photos = page.locator(".steps li").first.locator("b")
    before = Photo.objects.count()
    expect(photos).to_have_text(str(before))
    a_photo()
    dashboard.take(now=timezone.now() + timedelta(seconds=30))
    expect(photos).to_have_text(str(before + 1), timeout=10_000)
    expect(page.locator("[data-plot=columns] table").first).to_be_visible()  # what was open stays so

    page.get_by_role("button", name="Try all again").click()
    expect(page.get_by_text("1 is tried again.")).to_be_visible()
    assert not Photo.objects.exclude(failure="").exists()


def test_the_way_to_every_section_is_one_line_on_a_desk(site: Site) -> None:
    """At 1280 px, for whoever has the most sections, wherever they are."""
    site.sign_in(a_user("ada", role="admin"))
    for address in ("/annotate/", "/models/", "/export/"):
        page = site.open(address)
        tops = {link.bounding_box()["y"] for link in page.locator(".wide-only nav a").all()}  # type: ignore[index]
        assert len(tops) == 1, address


SCREENS = [(375, 740), (1280, 800), (3840, 2160)]
SCHEMES: list[Literal["dark", "light"]] = ["dark", "light"]
GROUND = """() => {
  const colour = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number);
  return (colour[0] + colour[1] + colour[2]) / 765;
}"""


@pytest.mark.timeout(600)  # all pages, three screens, two schemes: three minutes on a machine that is busy
def test_every_page_fits_every_screen_and_hinders_nobody_by_day_or_night(site: Site, furnished: list[str]) -> None:
    site.page.emulate_media(reduced_motion="reduce")
    for address in furnished:
        page = site.open(address)
        page.wait_for_load_state("networkidle")
        assert_fits_and_hinders_nobody(page, address)


def assert_fits_and_hinders_nobody(page: Page, address: str) -> None:
    """No sideways scrolling on a phone, a desk or a 4K screen; nothing that axe objects to, dark or light."""
    for width, height in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{address} at {width}"
    page.set_viewport_size({"width": 1280, "height": 800})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert (page.evaluate(GROUND) < 0.2) == (scheme == "dark"), address
        # Colours are all that differs in the dark, and looking for everything else takes axe five times as long.
        faults = faults_of(page, only=["color-contrast"] if scheme == "dark" else None)
        assert not faults, f"{address} in the {scheme}: {faults}"


def faults_of(page: Page, *, only: list[str] | None = None) -> list[str]:
    """What axe finds amiss, by all of its rules or by these: the rule, how grave it is, and where.

    Without its `preload`: it would copy style sheets that others import into the page, which our policy refuses.
    """
    options = {"preload": False} | ({"runOnly": only} if only else {})
    found = Axe().run(page, options=options).response["violations"]
    return [f"{each['id']} ({each['impact']}): {[node['target'] for node in each['nodes']][:5]}" for each in found]


@pytest.mark.parametrize("width", [375, 1280])
def test_axe_finds_no_fault_at_the_desk_whatever_is_asked(site: Site, width: int) -> None:
    faces = faces_of(1, 6)
    site.page.set_viewport_size({"width": width, "height": 800})
    site.sign_in()
    a_question(faces, cluster=a_cluster(faces))
    a_pair_question()
    a_grid(faces_of(2, 8), value="happy", attribute="emotion")
    a_single(faces[0], attribute="emotion")
    for kind in ("cluster", "pair", "grid", "value"):
        page = site.open(f"/annotate/?kind={kind}")
        expect(page.locator("#question img").first).to_be_visible()
        for key in ("", "h", "k", "l"):
            if key:
                page.keyboard.press(key)
                expect(page.get_by_role("dialog")).to_be_visible()
            assert not (faults := faults_of(page)), f"{kind} {key}: {faults}"
            page.keyboard.press("Escape")
        page.keyboard.press("h")
        page.get_by_role("button", name="Practise on drawn faces").click()
        expect(page.get_by_text("Practice 1 of 2")).to_be_visible()
        assert not (faults := faults_of(page)), f"practice of {kind}: {faults}"


def test_an_answer_by_touch_on_a_phone(site: Site) -> None:
    a_cluster_question(1, 24)
    site.sign_in()
    site.page.set_viewport_size({"width": 375, "height": 740})
    page = site.open("/annotate/")
    expect(page.locator(".tile")).to_have_count(24)

    page.locator(".tile").nth(2).click()
    whole = "(mark) => mark.scrollWidth <= mark.clientWidth && mark.offsetHeight < 40"
    assert page.locator(".tile .mark").nth(2).evaluate(whole)  # two words in two lines
    page.get_by_role("button", name="The other 23 are one person").click()
    expect(page.get_by_text("No question waits for you.")).to_be_visible()
    page.wait_for_load_state("networkidle")

    assert len(Answer.objects.get().content["marks"]) == 1
