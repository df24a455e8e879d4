"""Questions answered in a real browser, by key, by mouse and on a bad line."""

import json
import re
from datetime import date, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from annotation import ledger, lifetimes, queue, reads
from annotation.answers import settle_kept, undo_answer
from annotation.core.batches import batched
from annotation.models import Answer, Decision, Identity, Label, Photo, Question, User
from annotation.questions import GRID
from tests.browser.scenes import Site, a_cluster_question, a_pair_question, faces_of
from tests.factories import a_cluster, a_grid, a_person, a_question, a_single, an_annotator

pytestmark = pytest.mark.django_db(transaction=True)

TILE = "#grid .tile"


def settled(page: Page) -> None:
    """Waits until no answer is on its way any more, and does what a worker does then."""
    page.wait_for_function("() => !Object.keys(localStorage).some((key) => key.startsWith('dager.answer.'))")
    page.wait_for_load_state("networkidle")
    settle_kept()


def keys(page: Page, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def kept(page: Page, count: int) -> None:
    """Waits until the server has so many answers."""
    for _ in range(100):
        if Answer.objects.count() >= count:
            break
        page.wait_for_timeout(50)
    assert Answer.objects.count() == count


def at_the_desk(site: Site) -> Page:
    """Signed in, six faces on show, and all that the page asks for at first answered."""
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    page.wait_for_load_state("networkidle")
    return page


def places(question: Question) -> list[int]:
    """The faces of a question in the order in which it shows them."""
    return [face.pk for face in reads.asked([question], User())[0].faces]


def test_a_cluster_is_checked_by_keyboard_alone(site: Site) -> None:
    question = a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    expect(page.get_by_role("heading", name="Are these one person?")).to_be_visible()

    keys(page, "ArrowRight", "ArrowRight", "Space", "ArrowRight", "n", "ArrowRight", "t", "e")
    page.keyboard.type("Ada Lovelace")
    page.keyboard.press("Enter")
    settled(page)

    answer = Answer.objects.get()
    faces = places(question)
    assert answer.content == {
        "verdict": "one_person",
        "marks": {str(faces[2]): "other", str(faces[3]): "not_a_face", str(faces[4]): "cannot_tell"},
        "marked_are_one": False,
        "name": "Ada Lovelace",
    }
    assert answer.elapsed_ms is not None
    assert Label.objects.filter(identity__name="Ada Lovelace").count() == 3
    expect(page.get_by_text("No question waits for you.")).to_be_visible()
    expect(page.locator("#answered")).to_have_text("1")


def test_where_nothing_is_to_be_answered_it_says_what_is_left_for_others(site: Site) -> None:
    until = timezone.now() + timedelta(minutes=5)
    Question.objects.filter(pk=a_cluster_question().pk).update(leased_to=an_annotator(), leased_until=until)
    site.sign_in()
    page = site.open("/annotate/")

    expect(page.get_by_text("No question waits for you. One is left for others")).to_be_visible()


def test_undo_brings_the_question_back_as_it_was_answered(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    page.locator(TILE).nth(1).click()
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="The other 5 are one person").click()
    settled(page)
    assert Label.objects.count() == 5

    page.reload()  # the page that undid by a key has forgotten
    site.open("/answers/").get_by_role("button", name=re.compile("^Undo")).click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert Label.objects.count() == 0
    expect(site.open("/annotate/").locator(TILE)).to_have_count(6)


def test_undo_shows_the_last_question_with_its_marks_and_its_name(site: Site) -> None:
    a_cluster_question(1, worth=2.0)
    a_cluster_question(2, count=4)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    keys(page, "Space", "e")
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    expect(page.locator(TILE)).to_have_count(4)
    settled(page)

    page.keyboard.press("u")

    expect(page.locator(TILE)).to_have_count(6)
    expect(page.locator(TILE).first).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_label("Name")).to_have_value("Ada")
    assert not Label.objects.exists()
    page.keyboard.press("Enter")
    expect(page.locator(TILE)).to_have_count(4)
    settled(page)
    assert Label.objects.count() == 5


def test_the_marked_ones_are_one_other_person(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    split = page.get_by_role("button", name="Marked are one other person")
    expect(split).to_be_disabled()

    page.locator(TILE).nth(0).click()
    page.locator(TILE).nth(1).click()
    page.keyboard.press("s")
    expect(split).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Enter")
    settled(page)

    assert sorted(identity.labels.count() for identity in Identity.objects.all()) == [2, 4]


def test_two_people_are_merged_by_one_key(site: Site) -> None:
    question = a_pair_question()
    site.sign_in()
    page = site.open("/annotate/?kind=pair")
    expect(page.get_by_role("heading", name="Are these two people one?")).to_be_visible()
    expect(page.locator("#pair img")).to_have_count(5)

    page.keyboard.press("y")
    settled(page)

    question.refresh_from_db()
    assert question.state == "settled"
    assert Identity.objects.filter(merged_into=None).get().labels.count() == 5


def test_of_a_pair_what_is_no_face_is_marked_by_key_before_the_rest_is_judged(site: Site) -> None:
    question = a_pair_question()
    site.sign_in()
    page = site.open("/annotate/?kind=pair")
    tiles = page.locator("#pair .tile")
    expect(tiles).to_have_count(5)

    keys(page, "ArrowRight", "n", "ArrowRight", "n", "n")
    expect(page.locator("#pair .tile.marked")).to_have_count(1)
    expect(tiles.nth(1)).to_have_attribute("aria-label", re.compile("Face 2 of 5, .*marked: not a face"))
    keys(page, "y")
    settled(page)
    said = question.answers.get()
    assert list(said.content["marks"].values()) == ["not_a_face"]
    assert said.actions == 2
    assert Identity.objects.filter(merged_into=None).get().labels.count() == 4

    keys(page, "u")
    expect(page.get_by_text("Taken back. Answer it again.")).to_be_visible()
    expect(page.locator("#pair .tile.marked")).to_be_visible()
    assert not Label.objects.filter(verdict="not_a_face").exists()


def test_a_finger_that_rests_on_a_face_shows_it_larger_and_marks_nothing(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    tile = page.locator(TILE).nth(1)
    expect(tile).to_be_visible()

    tile.dispatch_event("pointerdown", {"pointerType": "touch"})
    expect(page.get_by_role("dialog").locator(".larger")).to_be_visible()
    tile.dispatch_event("pointerup", {"pointerType": "touch"})
    tile.dispatch_event("click", {"detail": 1})
    page.keyboard.press("Escape")
    expect(page.locator(f"{TILE}.marked")).to_have_count(0)
    expect(tile).to_have_class(re.compile("current"))

    tile.dispatch_event("pointerdown", {"pointerType": "touch"})
    tile.dispatch_event("pointerup", {"pointerType": "touch"})
    tile.dispatch_event("click", {"detail": 1})
    expect(page.locator(f"{TILE}.marked")).to_have_count(1)


def test_on_a_phone_the_values_of_a_grid_show_once_a_face_is_marked(site: Site) -> None:
    a_grid(faces_of(2, 8), value="happy", attribute="emotion")
    site.sign_in()
    site.page.set_viewport_size({"width": 375, "height": 740})
    page = site.open("/annotate/?kind=grid")
    expect(page.locator(TILE)).to_have_count(8)
    sad = page.locator("#choices").get_by_role("button", name="Sad")
    expect(sad).to_be_hidden()

    page.locator(TILE).nth(3).click()
    sad.click()
    expect(page.locator(TILE).nth(3).locator(".mark")).to_have_text("sad")
    keys(page, "ArrowLeft")
    expect(sad).to_be_hidden()


def test_keys_typed_into_a_field_or_with_a_modifier_press_nothing(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    page.get_by_label("Name").click()

    page.keyboard.type("nstkcu z")
    page.keyboard.press("Escape")
    keys(page, "Control+n", "Alt+s")

    expect(page.locator(f"{TILE}[aria-pressed=true]")).to_have_count(0)
    expect(page.get_by_label("Name")).to_have_value("nstkcu z")
    assert not Answer.objects.exists()


def test_the_whole_photo_is_a_key_away(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE).first).to_be_focused()

    page.keyboard.press("z")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("dialog rect")).to_have_attribute("width", "120")
    page.keyboard.press("z")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_next_question_and_its_pictures_are_there_before_they_are_asked_for(
    site: Site, page_problems: list[str]
) -> None:
    """How many milliseconds it takes is measured by tests/benchmarks/desk_page.py; here no server can help at all."""
    a_cluster_question(1, worth=2.0)
    a_cluster_question(2, count=24)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    page.wait_for_load_state("networkidle")

    page.context.set_offline(True)
    shown = page.evaluate(
        """() => {
          document.querySelector("[data-do=confirm]").click();
          return document.querySelectorAll("#grid img").length;
        }"""
    )
    page.wait_for_function(
        "() => [...document.querySelectorAll('#grid img')].every((each) => each.complete && each.naturalWidth)"
    )
    page.context.set_offline(False)
    settled(page)

    assert shown == 24
    page_problems.clear()  # the browser tells of the answer that waited for the line


def test_a_full_page_of_faces_fits_a_screen_without_scrolling(site: Site) -> None:
    """What questions.GRID is chosen by."""
    a_cluster_question(1, count=GRID)
    site.sign_in()
    site.page.set_viewport_size({"width": 1280, "height": 800})
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(GRID)
    last, buttons = page.locator(TILE).last.bounding_box(), page.locator("#keys").bounding_box()
    assert last is not None
    assert buttons is not None
    assert last["y"] + last["height"] <= buttons["y"]
    assert last["width"] >= 95


def test_a_lost_line_loses_no_answer(site: Site, page_problems: list[str]) -> None:
    first, second = a_cluster_question(1, worth=2.0), a_cluster_question(2)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    page.wait_for_load_state("networkidle")

    page.context.set_offline(True)
    keys(page, "Enter", "Enter")
    expect(page.get_by_text("2 not sent yet")).to_be_visible()
    assert not Answer.objects.exists()

    page.context.set_offline(False)
    settled(page)
    expect(page.get_by_text("The line is back.")).to_be_visible()
    assert set(Answer.objects.values_list("question", flat=True)) == {first.pk, second.pk}
    assert Question.objects.filter(state="settled").count() == 2
    assert page_problems
    assert all("ERR_INTERNET_DISCONNECTED" in problem for problem in page_problems)
    page_problems.clear()


def test_whoever_is_signed_out_meanwhile_loses_no_answer(site: Site, page_problems: list[str]) -> None:
    a_cluster_question()
    page = at_the_desk(site)
    page.context.clear_cookies()
    keys(page, "Enter")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert not Answer.objects.exists()

    site.sign_in()
    page.reload()
    kept(page, 1)
    assert page_problems
    page_problems.clear()  # the browser tells the 401, too


def test_an_answer_that_comes_too_late_is_told_and_the_next_question_shows(
    site: Site, page_problems: list[str]
) -> None:
    late = a_cluster_question(1, worth=2.0)
    a_cluster_question(2, count=4)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    Question.objects.filter(pk=late.pk).update(state="withdrawn", leased_to=None)

    page.keyboard.press("Enter")

    expect(page.get_by_text(f"Question {late.pk} is withdrawn")).to_be_visible()
    expect(page.locator(TILE)).to_have_count(4)
    assert not Answer.objects.exists()
    page_problems.clear()  # the browser tells the 409, too


def test_no_question_is_in_two_tabs_and_leaving_one_takes_nothing_from_the_other(site: Site) -> None:
    first, second = a_cluster_question(1, worth=2.0), a_cluster_question(2, count=4)
    page = at_the_desk(site)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(TILE)).to_have_count(4)

    keys(other, "Enter")
    kept(other, 1)
    expect(other.get_by_text("No question waits for you.")).to_be_visible()
    keys(page, "Enter")  # the second one was ahead here, too
    kept(page, 2)
    expect(page.get_by_text("No question waits for you.")).to_be_visible()
    assert [each.answers.count() for each in (first, second)] == [1, 1]

    third = a_cluster_question(3, count=5)
    expect(page.locator(TILE)).to_have_count(5, timeout=15_000)
    other.goto("about:blank")
    page.wait_for_timeout(300)
    third.refresh_from_db()
    assert third.leased_to == site.curator
    other.close()


def test_what_is_taken_back_elsewhere_comes_again_in_every_tab(site: Site) -> None:
    question = a_cluster_question()
    page = at_the_desk(site)
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.get_by_text("No question waits for you.")).to_be_visible()  # it is on the first tab's screen

    keys(page, "Enter")
    kept(page, 1)
    keys(page, "u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    page.goto("about:blank")
    expect(other.locator(TILE)).to_have_count(6, timeout=15_000)

    keys(other, "Enter")
    kept(other, 2)
    undo_answer(answer_id=question.answers.get(undone_at=None).pk, by=site.curator)  # as the page of all answers does
    expect(other.locator(TILE)).to_have_count(6, timeout=15_000)
    other.close()


def test_a_tab_that_is_looked_at_again_gives_way_to_the_one_that_took_over(site: Site) -> None:
    a_cluster_question(1, worth=2.0)
    a_cluster_question(2, count=4)
    page = at_the_desk(site)
    first, second = Question.objects.order_by("-worth").values_list("pk", flat=True)
    taken_over = "([key, question]) => localStorage.setItem(key, JSON.stringify({ question, at: Date.now() }))"
    page.evaluate(taken_over, [f"dager.tab.{site.curator.pk}.x", first])

    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(TILE)).to_have_count(4)

    other = page.context.new_page()  # answered there while it is on show here
    other.goto(site.address + "/answers/")
    line = json.dumps({"question": second, "client_id": "x", "content": {}, "at": 0})
    other.evaluate("line => localStorage.setItem('dager.answer.' + line[0], line[1])", [f"{site.curator.pk}.x", line])
    expect(page.get_by_text("The one before was answered in another tab.")).to_be_visible()
    other.evaluate("user => localStorage.removeItem(`dager.answer.${user}.x`)", site.curator.pk)
    other.close()


def test_two_browsers_of_one_person_are_one_voice(site: Site, page_problems: list[str]) -> None:
    question = a_single(faces_of(1, 1)[0], attribute="apparent_age")  # many may guess
    an_annotator("bob")
    site.sign_in(an_annotator("ann"))
    page = site.open("/annotate/")
    expect(page.locator("#single img")).to_be_visible()
    assert page.context.browser is not None
    elsewhere = page.context.browser.new_context(storage_state={"cookies": page.context.cookies(), "origins": []})
    other = elsewhere.new_page()
    other.goto(page.url)
    expect(other.locator("#single img")).to_be_visible()

    keys(page, "3", "0", "Enter")
    kept(page, 1)
    keys(other, "4", "0", "Enter")

    expect(other.get_by_text("perhaps in another tab")).to_be_visible()
    settled(other)  # nothing waits there for ever
    assert [answer.content["value"] for answer in question.answers.all()] == ["30"]
    elsewhere.close()
    page_problems.clear()  # the browser tells the 409, too


def test_what_another_tab_sent_is_taken_back_as_well(site: Site, page_problems: list[str]) -> None:
    question = a_cluster_question()
    page = at_the_desk(site)
    page.route("**/answer", lambda route: route.abort())
    keys(page, "Enter")  # the server is gone, and this tab waits before it tries again
    expect(page.get_by_text("The line is lost.")).to_be_visible()
    page.unroute("**/answer")
    other = page.context.new_page()
    other.goto(page.url)  # sends it at once
    kept(other, 1)
    settled(other)
    other.close()

    keys(page, "u")

    expect(page.get_by_text("Taken back.")).to_be_visible()
    settled(page)
    assert question.answers.get().undone_at is not None
    assert not Label.objects.exists()
    page_problems.clear()


def test_a_question_whose_lease_ran_out_is_somebody_elses(site: Site, page_problems: list[str]) -> None:
    lost = a_cluster_question(1, worth=2.0)
    a_cluster_question(2, count=4)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    hour = timezone.now() + timedelta(hours=1)
    Question.objects.filter(pk=lost.pk).update(leased_to=an_annotator("bob"), leased_until=hour)

    page.keyboard.press("Enter")

    expect(page.get_by_text(f"Question {lost.pk} is in somebody else's hands now")).to_be_visible()
    expect(page.locator(TILE)).to_have_count(4)
    assert not lost.answers.exists()
    page_problems.clear()


def test_whoever_comes_back_to_the_page_holds_its_questions_again_at_once(site: Site) -> None:
    question = a_cluster_question()
    page = at_the_desk(site)
    Question.objects.filter(pk=question.pk).update(leased_until=timezone.now() - timedelta(minutes=1))

    with page.expect_response("**/questions/next**"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # as a tab that is shown again does

    assert queue.take_next(an_annotator("bob")) == []


def test_a_closed_tab_sends_what_it_still_held_when_the_page_is_opened_again(
    site: Site, page_problems: list[str]
) -> None:
    question = a_cluster_question()
    site.sign_in()
    page = site.page.context.new_page()
    page.goto(f"{site.address}/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    page.wait_for_load_state("networkidle")
    page.route("**/answer", lambda route: route.abort())  # the server is gone
    keys(page, "Enter")
    page.wait_for_timeout(300)
    assert not question.answers.exists()

    page.close()
    again = site.open("/annotate/")
    kept(again, 1)
    settled(again)
    assert question.answers.count() == 1
    page_problems.clear()


def test_leaving_the_page_frees_the_questions(site: Site) -> None:
    question = a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    question.refresh_from_db()
    assert question.leased_to == site.curator

    site.open("/people/")
    for _ in range(50):  # what a page sends as it goes is out of the browser's sight
        question.refresh_from_db()
        if question.leased_to is None:
            break
        page.wait_for_timeout(100)

    assert question.leased_to is None


def test_an_annotator_sees_the_pictures_and_nothing_but_the_question(site: Site) -> None:
    a_cluster_question()
    site.sign_in(an_annotator("ann"))

    page = site.open("/")

    expect(page).to_have_url(re.compile("/annotate/$"))
    page.wait_for_function("() => document.querySelectorAll('#grid img').length === 6")
    page.wait_for_function("() => [...document.querySelectorAll('#grid img')].every((each) => each.naturalWidth)")
    expect(page.get_by_role("navigation", name="Sections").get_by_role("link")).to_have_text(["Annotate"])


def test_a_screen_reader_hears_what_each_face_is_and_what_was_marked(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")

    first = page.get_by_role("button", name="Face 1 of 6, found under Ada")
    expect(first).to_be_focused()
    page.keyboard.press("n")

    expect(page.get_by_role("button", name="Face 1 of 6, found under Ada, marked: not a face")).to_be_visible()
    expect(page.locator("#heard")).to_have_text("Face 1: not a face. 5 belong.")


@pytest.mark.parametrize(
    ("count", "of_people", "of_values"),
    [(1, "Yes, it is", "It is happy"), (2, "Both are one person", "Both are happy")],
)
def test_one_face_or_two_are_confirmed_in_words_for_one_or_two(
    site: Site, count: int, of_people: str, of_values: str
) -> None:
    site.sign_in()
    faces = faces_of(1, count)
    question = a_question(faces, cluster=a_cluster(faces), identity=a_person(faces_of(3, 2), "Ada"), worth=2.0)
    grid = a_grid(faces_of(2, count), value="happy", attribute="emotion")
    page = site.open("/annotate/")

    page.get_by_role("button", name=of_people).click()
    page.get_by_role("button", name=of_values).click()
    settled(page)

    assert [Answer.objects.get(question=each).content["marks"] for each in (question, grid)] == [{}, {}]


def test_a_grid_is_looked_over_by_keyboard(site: Site) -> None:
    faces = faces_of(1, 6)
    grid = a_grid(faces, value="happy", attribute="emotion")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.get_by_role("heading", name="Which of these are not happy?")).to_be_visible()
    expect(page.locator(TILE)).to_have_count(6)
    expect(page.get_by_role("button", name="Happy 4")).to_be_disabled()

    keys(page, "Space")
    expect(page.locator("#heard")).to_have_text("Face 1: not happy. 5 are happy.")
    keys(page, "ArrowRight", "6", "ArrowRight", "n")
    expect(page.get_by_role("button", name="The other 3 are happy")).to_be_visible()
    keys(page, "Enter")
    settled(page)

    shown = places(grid)
    marks = {str(shown[0]): "other", str(shown[1]): "sad", str(shown[2]): "not_a_face"}
    assert Answer.objects.get(question=grid).content == {"verdict": "marked", "marks": marks}


def test_a_single_face_takes_one_key_and_comes_back_when_undone(site: Site) -> None:
    (face,) = faces_of(1, 1)
    a_single(face, attribute="emotion")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.get_by_role("heading", name="Which emotion is this?")).to_be_visible()
    assert page.evaluate("document.querySelector('#single img').getBoundingClientRect().width") > 300

    keys(page, "7")
    settled(page)
    assert Answer.objects.get().content == {"verdict": "value", "value": "surprised"}
    keys(page, "u")

    expect(page.get_by_role("heading", name="Which emotion is this?")).to_be_visible()
    assert Answer.objects.get().undone_at is not None


def test_how_old_somebody_looks_is_typed(site: Site) -> None:
    (face,) = faces_of(1, 1)
    a_single(face, attribute="apparent_age")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.get_by_role("heading", name="How old does this person look?")).to_be_visible()

    page.keyboard.type("34")
    keys(page, "Enter")
    settled(page)

    answer = Answer.objects.get()
    assert (answer.content, answer.actions) == ({"verdict": "value", "value": "34"}, 2)


def test_where_years_are_typed_every_other_key_is_its_buttons(site: Site) -> None:
    for face in faces_of(1, 3):
        a_single(face, attribute="apparent_age")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator("#years")).to_be_focused()

    keys(page, "z", "z")  # there and away
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys(page, "c")
    kept(page, 1)
    keys(page, "u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    keys(page, "n")
    kept(page, 2)
    keys(page, "k", "1")
    kept(page, 3)
    settled(page)

    assert [answer.content["verdict"] for answer in Answer.objects.order_by("pk")] == [
        "cannot_tell",
        "not_a_face",
        "skip",
    ]
    expect(page.locator("#years")).to_have_value("")


def test_years_that_nobody_lives_to_are_not_sent(site: Site) -> None:
    a_single(faces_of(1, 1)[0], attribute="apparent_age")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator("#years")).to_be_focused()

    page.keyboard.type("333")
    keys(page, "Enter")
    assert page.locator("#years").evaluate("(field) => field.validity.patternMismatch")
    page.locator("#years").fill("116")
    keys(page, "Enter")
    settled(page)

    assert [each.content["value"] for each in Answer.objects.all()] == ["116"]


def test_dates_that_do_not_fit_are_looked_over_with_what_is_written_of_them(site: Site) -> None:
    faces = faces_of(1, 6)
    for face, year in zip(faces, (1965, 1970, 1980, 1990, 2004, 2010), strict=True):
        Photo.objects.filter(pk=face.photo_id).update(
            taken_at=date(year, 5, 1), taken_at_precision="month", imported={"age": [year - 1960, year - 1959]}
        )
    for face in faces[4:]:
        Photo.objects.filter(pk=face.photo_id).update(imported={"age": [7, 8]})
    person = a_person(faces)
    ages = [Decision(kind="value", face=face, attribute="real_age", value="1", by="import") for face in faces]
    for line in ages:
        low, high = Photo.objects.get(faces=line.face).imported["age"]
        line.detail = {"low": low, "high": high}
    ledger.write(ages)
    lifetimes.keep_up()
    site.sign_in()

    page = site.open("/annotate/?kind=record")
    expect(page.get_by_role("heading", name="Are these the right person, and the right dates?")).to_be_visible()
    expect(page.get_by_text("Their dates do not fit those of 4 other photos of this person.")).to_be_visible()
    expect(page.get_by_text("taken in May 2004, aged 7")).to_be_visible()
    page.set_viewport_size({"width": 375, "height": 740})
    whole = "(facts) => facts.offsetWidth > 140 && facts.scrollWidth <= facts.clientWidth"
    assert page.locator(f"{TILE} .facts").first.evaluate(whole)  # on a phone, too, they are to be read
    keys(page, "d", "ArrowRight", "Space")
    expect(page.get_by_role("button", name="None is right")).to_be_visible()
    keys(page, "Enter")
    settled(page)

    marks = {str(faces[4].pk): "wrong_date", str(faces[5].pk): "other"}
    assert Answer.objects.get(question__kind="record").content == {"verdict": "marked", "marks": marks}
    assert Label.objects.filter(identity=person).count() == 5


def test_skipping_takes_two_keys_and_may_say_why(site: Site) -> None:
    for faces in batched(faces_of(1, 12), 4):
        a_question(faces, cluster=a_cluster(faces))
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(4)

    keys(page, "k")
    expect(page.get_by_role("dialog", name="Why do you skip it?")).to_be_visible()
    keys(page, "2")
    kept(page, 1)
    keys(page, "k", "Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys(page, "k", "k")
    kept(page, 2)

    assert [answer.content for answer in Answer.objects.order_by("pk")] == [
        {"verdict": "skip", "reason": "bad_picture"},
        {"verdict": "skip", "reason": ""},
    ]

    page.locator(TILE).first.click()
    keys(page, "k", "k")
    kept(page, 3)
    keys(page, "u")  # by mistake
    expect(page.locator(f"{TILE}.marked")).to_have_count(1)


def test_help_tells_how_this_kind_of_question_is_answered(site: Site) -> None:
    question = a_pair_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.get_by_role("heading", name="Are these two people one?")).to_be_visible()

    keys(page, "h")
    told = page.get_by_role("dialog", name="How to answer")
    expect(told).to_be_visible()
    expect(told.get_by_text("Siblings are two people.")).to_be_visible()
    assert told.locator("section:visible").count() == 1
    keys(page, "y")  # nothing is answered behind it
    keys(page, "h")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not question.answers.exists()


def test_pace_and_what_is_left_show_after_a_few_answers(site: Site) -> None:
    for face in faces_of(1, 8):
        a_question([face], cluster=a_cluster([face]))
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(1)

    for _ in range(6):
        keys(page, "Enter")
        page.wait_for_timeout(150)
    settled(page)

    expect(page.locator(".progress-line")).to_contain_text("a minute")


def test_a_beginner_practises_on_drawn_faces_before_the_first_real_question_of_a_kind(site: Site) -> None:
    question = a_pair_question()
    ann = an_annotator("ann", practised=[])
    site.sign_in(ann)
    page = site.open("/annotate/")
    expect(page.get_by_text("Practice 1 of 2: these faces are drawn, and nothing of this counts.")).to_be_visible()
    expect(page.get_by_role("button", name="Skip")).to_have_count(0)
    expect(page.get_by_role("button", name="Leave the practice")).to_have_count(0)

    keys(page, "y")
    expect(page.locator("#verdict")).to_have_text("Right.")
    expect(page.get_by_text("It is the same person on both sides")).to_be_visible()
    keys(page, "d")  # nothing happens twice
    keys(page, "Enter")
    expect(page.get_by_text("Practice 2 of 2")).to_be_visible()
    keys(page, "y")
    expect(page.get_by_text("Not quite.")).to_be_visible()
    keys(page, "Enter")

    expect(page.get_by_text("1 of 2 right. From here on it counts.")).to_be_visible()
    expect(page.get_by_role("heading", name="Grace")).to_be_visible()
    assert not Answer.objects.filter(question__isnull=False).exists()
    keys(page, "d")
    settled(page)
    assert question.answers.get().content == {"verdict": "different", "marks": {}}
    ann.refresh_from_db()
    assert ann.practised == ["pair"]


def test_what_was_passed_over_in_practice_is_shown(site: Site) -> None:
    a_cluster_question()
    site.sign_in(an_annotator("ann", practised=["pair"]))
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    expect(page.get_by_text("Practice 1 of 2")).to_be_visible()

    keys(page, "Space", "Enter")  # the first one is no stranger; the third one is

    expect(page.get_by_text("Not quite.")).to_be_visible()
    expect(page.locator(TILE).nth(2)).to_have_class(re.compile("missed"))
    expect(page.locator(TILE).nth(0)).to_have_class(re.compile("needless"))


def test_a_curator_practises_only_if_they_want_to(site: Site) -> None:
    a_pair_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.get_by_role("heading", name="Grace")).to_be_visible()

    keys(page, "h")
    page.get_by_role("button", name="Practise on drawn faces").click()
    expect(page.get_by_text("Practice 1 of 2")).to_be_visible()
    page.get_by_role("button", name="Leave the practice").click()

    expect(page.get_by_role("heading", name="Grace")).to_be_visible()
    site.curator.refresh_from_db()
    assert site.curator.practised == []


def test_years_go_up_and_down_by_arrows_and_by_buttons(site: Site) -> None:
    a_single(faces_of(1, 1)[0], attribute="apparent_age")
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator("#years")).to_be_focused()
    expect(page.locator("#years")).to_have_value("")  # nothing that would sway

    keys(page, "x")  # no button's key, and no digit
    expect(page.locator("#years")).to_have_value("")
    keys(page, "ArrowUp", "ArrowUp", "ArrowDown", "ArrowUp")
    expect(page.locator("#years")).to_have_value("31")
    page.get_by_role("button", name="Younger").click()
    expect(page.locator("#years")).to_have_value("30")
    page.get_by_role("button", name="That old").click()
    settled(page)

    assert Answer.objects.get().content["value"] == "30"


def test_a_larger_crop_shows_what_is_around_the_face(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE).first).to_be_focused()

    keys(page, "l")
    figure = page.get_by_role("dialog").locator(".larger")
    expect(figure).to_be_visible()
    box, picture = figure.bounding_box(), figure.locator("img").bounding_box()
    assert box is not None
    assert picture is not None
    assert picture["width"] == pytest.approx(box["width"], rel=0.02)  # here twice the face is the whole photo
    keys(page, "l")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_key_that_is_held_answers_once_and_marks_nothing(site: Site) -> None:
    a_cluster_question(1, worth=3.0)
    a_cluster_question(2, count=4, worth=2.0)
    a_cluster_question(3, count=5)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)

    page.keyboard.down("Enter")
    for _ in range(8):
        page.keyboard.down("Enter")  # as a key that is held does
    page.keyboard.up("Enter")
    expect(page.locator(TILE)).to_have_count(4)
    page.keyboard.down(" ")
    for _ in range(3):
        page.keyboard.down(" ")
    page.keyboard.up(" ")
    settled(page)

    assert Answer.objects.count() == 1
    expect(page.locator(f"{TILE}[aria-pressed=true]")).to_have_count(1)
    for _ in range(4):
        page.keyboard.down("z")
    expect(page.get_by_role("dialog")).to_be_visible()  # and stays so, as long as somebody looks
    page.keyboard.up("z")


def test_a_double_click_answers_one_question(site: Site) -> None:
    for person in (1, 5):
        a_cluster_question(person, count=4)
    site.sign_in()
    page = site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(4)

    page.get_by_role("button", name="All 4 are one person").dblclick()
    settled(page)

    assert Answer.objects.count() == 1


def test_each_question_says_why_it_is_asked(site: Site) -> None:
    a_cluster_question()
    site.sign_in()
    page = site.open("/annotate/")
    expect(
        page.get_by_text("The machine takes these for one person; nobody has looked at them together yet.")
    ).to_be_visible()


def test_a_line_that_is_cut_for_two_minutes_loses_nothing(site: Site, page_problems: list[str]) -> None:
    questions = [a_cluster_question(person, count=4) for person in (1, 2, 5)]
    site.sign_in()
    page = site.page
    page.clock.install()
    site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(4)
    page.wait_for_load_state("networkidle")

    page.context.set_offline(True)
    for _ in questions:
        keys(page, "Enter")
    expect(page.get_by_text("3 not sent yet")).to_be_visible()
    for _ in range(12):
        page.clock.run_for(10_000)  # it tries again in vain, less and less often
    assert not Answer.objects.filter(question__isnull=False).exists()
    page.context.set_offline(False)
    page.clock.run_for(31_000)
    kept(page, 3)

    assert {answer.question_id for answer in Answer.objects.all()} == {question.pk for question in questions}
    page_problems.clear()


def test_an_answer_whose_receipt_was_lost_with_the_server_counts_once(site: Site, page_problems: list[str]) -> None:
    question = a_cluster_question()
    site.sign_in()
    page = site.page
    page.clock.install()
    site.open("/annotate/")
    expect(page.locator(TILE)).to_have_count(6)
    lost = []

    def killed(route):
        """The server keeps the answer, and dies before it says so."""
        if not lost:
            lost.append(route.fetch())
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/answer", killed)
    keys(page, "Enter")
    kept(page, 1)
    page.clock.run_for(5_000)
    settled(page)

    assert lost[0].status == 201
    assert question.answers.count() == 1
    assert Label.objects.count() == 6
    page_problems.clear()


def test_what_is_still_on_its_way_is_taken_back_once_it_has_arrived(site: Site) -> None:
    question = a_cluster_question()
    page = at_the_desk(site)

    under_way: list[Route] = []
    page.route("**/answer", lambda route: under_way.append(route))
    keys(page, "Enter")
    expect(page.locator(TILE).first).to_be_hidden()
    while not under_way:
        page.wait_for_timeout(20)
    keys(page, "u")  # before the server has it
    under_way[0].continue_()

    expect(page.get_by_text("Taken back.")).to_be_visible()
    assert question.answers.get().undone_at is not None
    assert not Label.objects.exists()


def test_what_the_server_kept_unheard_is_taken_back_and_answered_anew(site: Site, page_problems: list[str]) -> None:
    question = a_cluster_question()
    page = at_the_desk(site)

    def unheard(route):
        route.fetch()
        route.abort("connectionreset")

    page.route("**/answer", unheard)
    keys(page, "Enter")
    kept(page, 1)
    expect(page.get_by_text("The line is lost.")).to_be_visible()
    page.unroute("**/answer")
    keys(page, "u")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    keys(page, "Space", "Enter")
    settled(page)

    first, second = question.answers.order_by("pk")
    assert first.undone_at is not None
    assert second.undone_at is None
    assert len(second.content["marks"]) == 1
    assert Label.objects.count() == 5
    page_problems.clear()
