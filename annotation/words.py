"""Words in one place, ready for translation: what the script of the desk says, why a question is asked, and what
values, attributes and states are called.

`manage.py makemessages -l de` collects them, with those of templates, forms and views. Errors' messages are not among
them: they are the same for pages and API, in English. Of a text with `one` and `other` the script chooses by the
`count`, as the language has it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later
from django.utils.translation import ngettext

from annotation.models import Question
from inference.core.attributes import ATTRIBUTES

Text: TypeAlias = str | Promise
Texts: TypeAlias = dict[str, Text | dict[str, Text]]

DESK: Texts = {
    # what is asked
    "title": later("Annotate"),
    "nothing": later("Nothing to answer"),
    "for_others": {
        "one": later("One is left for others: you have answered or skipped it, or somebody is at it now."),
        "other": later("{count} are left for others: you have answered or skipped them, or somebody is at them now."),
    },
    "ask_cluster": later("Are these one person?"),
    "ask_cluster_known": later("Is this {name}, too?"),
    "about_cluster": later("Mark the faces that do not belong, then confirm the rest."),
    "ask_pair": later("Are these two people one?"),
    "about_pair": later("Compare the faces of both; mark what is no face."),
    "ask_grid": later("Which of these are not {value}?"),
    "about_grid": later("Mark those that are not, then confirm the rest."),
    "about_grid_values": later("Mark those that are not, if you can by what they are; then confirm the rest."),
    "ask_value": later("Which {attribute} is this?"),
    "ask_years": later("How old does this person look?"),
    "about_years": later("Type the years, or go up and down; your first impression counts."),
    "ask_record": later("Are these the right person, and the right dates?"),
    "about_record": later("Mark what is wrong, then confirm the rest."),
    # faces and people
    "person": later("Person {id}"),
    "known_face": later("A known face"),
    "faces_known": {"one": later("{count} face known"), "other": later("{count} faces known")},
    "faces": {"one": later("{count} face"), "other": later("{count} faces")},
    "face_of": later("Face {number} of {count}"),
    "found_under": later("found under {query}"),
    "marked": later("marked: {mark}"),
    "zoom": later("The whole photo"),
    "whole_photo": later("The whole photo, with the face in a box"),
    "larger_crop": later("The face and what is around it, enlarged"),
    "search_terms": later("Search terms"),
    "sources": later("Sources"),
    "use_as_name": later("Use it as the name"),
    # marks
    "mark_other": later("somebody else"),
    "mark_wrong_date": later("wrong date"),
    "mark_not_a_face": later("not a face"),
    "mark_cannot_tell": later("cannot tell"),
    "mark_not": later("not {value}"),
    "button_other": later("Does not belong"),
    "button_not": later("Not {value}"),
    "button_somebody_else": later("Somebody else"),
    # the button that confirms
    "only_one": later("Yes, it is"),
    "both_one": later("Both are one person"),
    "all_one": later("All {count} are one person"),
    "others_one": {
        "one": later("The other {count} is this person"),
        "other": later("The other {count} are one person"),
    },
    "none_one": later("None belongs"),
    "only_value": later("It is {value}"),
    "both_value": later("Both are {value}"),
    "all_value": later("All {count} are {value}"),
    "others_value": {"one": later("The other {count} is {value}"), "other": later("The other {count} are {value}")},
    "none_value": later("None is {value}"),
    "only_right": later("It is right"),
    "both_right": later("Both are right"),
    "all_right": later("All are right"),
    "others_right": {"one": later("The other {count} is right"), "other": later("The other {count} are right")},
    "none_right": later("None is right"),
    # for those who listen
    "hear_faces": {"one": later("{ask} {count} face."), "other": later("{ask} {count} faces.")},
    "hear_marked_one": {
        "one": later("Face {number}: {mark}. {count} belongs."),
        "other": later("Face {number}: {mark}. {count} belong."),
    },
    "hear_marked_value": {
        "one": later("Face {number}: {mark}. {count} is {value}."),
        "other": later("Face {number}: {mark}. {count} are {value}."),
    },
    "hear_marked_right": {
        "one": later("Face {number}: {mark}. {count} is right."),
        "other": later("Face {number}: {mark}. {count} are right."),
    },
    "hear_one": later("Face {number} belongs."),
    "hear_value": later("Face {number} is {value}."),
    "hear_right": later("Face {number} is right."),
    "hear_no_face": later("Face {number} is marked: not a face."),
    "hear_a_face": later("Face {number} is not marked any more."),
    "hear_split": later("Those marked as somebody else are one other person."),
    "hear_no_split": later("Those marked are not taken for one person."),
    # how it goes
    "pace": later(", {time} at {pace} a minute"),
    "less_than_a_minute": later("less than a minute"),
    "minutes": later("{count} min"),
    "hours": later("{count} h"),
    "not_sent": {"one": later("{count} not sent yet"), "other": later("{count} not sent yet")},
    "line_lost": later("The line is lost. Answers are kept here and sent once it is back."),
    "signed_out": later(
        "You are signed out. Answers are kept here and sent once you are back: load the page again to sign in."
    ),
    "line_back": later("The line is back."),
    "not_kept": later("{message} Answers are kept here; load the page again if this stays."),
    "taken_back": later("Taken back. Answer it again."),
    "taken_back_for_good": later(
        "Taken back. It is not asked again here: somebody else is at it, or the clusters have changed since."
    ),
    "answered_elsewhere": later("The one before was answered in another tab."),
    # practice
    "practice": later("Practice {number} of {count}: these faces are drawn, and nothing of this counts."),
    "practice_right": later("Right."),
    "practice_wrong": later("Not quite."),
    "practice_over": {
        "one": later("{right} of {count} right. From here on it counts."),
        "other": later("{right} of {count} right. From here on it counts."),
    },
    "practice_missing": later("The practice cannot be loaded: {message}"),
}

DASHBOARD: Texts = {
    "lost": later("The server cannot be reached; these figures are as they were."),
    "counted": later("counted {time} ago"),
    "seconds": later("{count} s"),
    "minutes": later("{count} min"),
    "hours": later("{count} h"),
    "per_hour": later("{title}: {value} an hour"),
    "share": later("{row}: {column} {count} ({percent} %)"),
    "bar": later("{row}: {count}"),
    "bar_of": later("{row}, {column}: {count}"),
    "plot_of": later("{title}. The table below has the figures."),
    # the map
    "map_none": later("There is no map yet: it is drawn once three faces are embedded and no photo waits."),
    "map_told": later(
        "{count} of {of} embedded faces, placed by {model}; near one another is what the model takes for alike."
    ),
    "map_face": later("Face {id}"),
    "map_alone": later("in no group"),
    "map_person": later("Person {id}"),
    "map_cluster": later("Cluster {id}"),
    "map_faces": {"one": later("{count} face on the map"), "other": later("{count} faces on the map")},
}

# What the scripts say that several pages have.
EVERYWHERE: Texts = {
    "server_away": later("The server cannot be reached."),
    "server_silent": later("The server answered {status}, without a reason."),
    "so_many_of": later("{done} of {total}"),
    "so_many_faces": {"one": later("{count} face"), "other": later("{count} faces")},
    "selected": {"one": later("{count} selected"), "other": later("{count} selected")},
    "somebody": later("Person"),
    # a file that is uploaded, and all of them
    "file_taken": later("taken in"),
    "file_copy": later("exact copy"),
    "file_known": later("known before"),
    "file_delivery": later("being unpacked"),
    "file_refused": later("refused"),
    "file_failed": later("not sent"),
    "files_of": later("{ended} of {total}"),
    "files_of_which": later("{ended} of {total}: {parts}"),
    "files_taken": {"one": later("{count} taken in"), "other": later("{count} taken in")},
    "files_copy": {"one": later("{count} exact copy"), "other": later("{count} exact copies")},
    "files_known": {"one": later("{count} known before"), "other": later("{count} known before")},
    "files_delivery": {"one": later("{count} being unpacked"), "other": later("{count} being unpacked")},
    "files_refused": {"one": later("{count} refused"), "other": later("{count} refused")},
    "files_failed": {"one": later("{count} not sent"), "other": later("{count} not sent")},
    # an intake
    "intake_taken": {"one": later("{count} taken"), "other": later("{count} taken")},
    "intake_copies": {"one": later("{count} copy"), "other": later("{count} copies")},
    "intake_known": {"one": later("{count} known"), "other": later("{count} known")},
    "intake_skipped": {"one": later("{count} skipped"), "other": later("{count} skipped")},
    "intake_refused": {"one": later("{count} refused"), "other": later("{count} refused")},
    "intake_folder": later("Folder"),
    "intake_archive": later("Archive"),
    "intake_manifest": later("Manifest"),
    "intake_upload": later("Upload"),
    "intake_labelled": later("Labelled"),
    "intake_waiting": later("Waiting"),
    "intake_running": later("Running"),
    "intake_done": later("Done"),
    "intake_failed": later("Failed"),
}

# What the scripts of other pages say.
LIVE: Texts = {
    "lost": later("The line is lost. It goes on once it is back."),
    "fresh": {"one": later("{count} new."), "other": later("{count} new.")},
    "nothing_new": later("Nothing new."),
    "still": later("Held still."),
    "every_five_seconds": later("New answers appear every five seconds."),
}
LIKENESS: Texts = {
    "fall_out": {"one": later("{count} fall out"), "other": later("{count} fall out")},
    "fall_out_of": {"one": later("{count} of {total} fall out"), "other": later("{count} of {total} fall out")},
}

TRY: Texts = {
    "looking": later("It is being looked at …"),
    "faces_found": {"one": later("{count} face found."), "other": later("{count} faces found.")},
    "no_face": later("No face was found in this photo."),
    "no_picture": later("That was no picture. Take a JPEG, PNG or WebP."),
    "no_camera": later("The camera cannot be used here: {message}"),
    "photo_alt": later("Your photo, with the faces that were found in boxes"),
    "face_number": later("Face {number}"),
    "unusable": later("Do not rely on any of this: {reason}."),
    "abstained": later("would rather not say"),
    "not_calibrated": later("not calibrated"),
    "no_model": later("No model is known for it."),
    "age": later("{mean} years, nine times in ten {low} to {high}"),
    "age_alone": later("{mean} years"),
    "age_drawn": later("{low} to {high} of {oldest} years, on average {mean}"),
    "percent": later("{share} %"),
    "said_by": later("Said by {names}."),
}

# After a practice answer, by the name of the example.
PRACTICE: dict[str, Text] = {
    "cluster_other": later(
        "One of the six has other eyes, another nose and another chin: somebody else. All others are one person; "
        "smile, light and clothes may change."
    ),
    "cluster_not_a_face": later("One picture shows no face at all. It is marked as such, and the rest is one person."),
    "pair_same": later(
        "It is the same person on both sides: look at the shape of eyes, nose and chin, not at the light."
    ),
    "pair_different": later("These are two people: nose, eyes and the shape of the head differ."),
    "grid_happy": later("Two of these do not smile. Marking them by the number of what they are says even more."),
    "grid_sad": later("All corners of the mouth point down but one, and one picture shows no face."),
    "value_happy": later("A broad smile: happy. Say what you see."),
    "value_none": later("There is no face in this picture, so no emotion either."),
    "years_old": later(
        "Most people would say 60 to 85. There is no right answer: your first impression is what counts."
    ),
    "years_young": later("Most people would say 18 to 45. Guess quickly, and do not correct yourself."),
    "record_both": later(
        "One is somebody else; and somebody with such wrinkles was not eight years old that day: the date is wrong."
    ),
}


def names() -> dict[str, str]:
    """What values and attributes are called, by what they are in the data."""
    known = {name: name.replace("_", " ") for name in ATTRIBUTES}
    known |= {value: value for each in ATTRIBUTES.values() for value in each.values}
    return {name: _(text) for name, text in known.items()}


# Values and attributes come from their registry, where no translator looks: here `makemessages` finds them.
CALLED: tuple[Text, ...] = (
    later("real age"), later("apparent age"), later("gender"), later("emotion"), later("female"), later("male"),
    later("angry"), later("disgusted"), later("fearful"), later("happy"), later("neutral"), later("sad"),
    later("surprised"),
)  # fmt: skip

# The same of the states, kinds and roles that are kept; the pages translate them as they show them.
CHOICES: tuple[Text, ...] = (
    later("Annotator"), later("Curator"), later("Engineer"), later("Admin"), later("Client"),
    later("Folder"), later("Archive"), later("Manifest"), later("Upload"), later("Labelled"),
    later("Year"), later("Month"), later("Day"),
    later("Waiting"), later("Running"), later("Building"), later("Done"), later("Failed"), later("Proposed"),
    later("Asked"), later("Nothing to ask"), later("Applied"), later("Replaced"), later("Discarded"), later("Open"),
    later("Settled"), later("Withdrawn"), later("Valid"), later("Revoked"), later("Lapsed"), later("Candidate"),
    later("Live"), later("Retired"),
    later("Cluster"), later("Pair"), later("Grid"), later("Value"), later("Record"),
    later("Work"), later("Control"), later("Audit"), later("Again"), later("Gold"), later("Doubt"), later("Verdict"),
    later("Wanted"), later("Label"), later("Cannot link"), later("Not a face"), later("Cannot tell"), later("Merge"),
    later("Name"), later("Undo"), later("Person"), later("Machine"), later("Import"), later("Identity"),
    later("Krippendorff's α"), later("intraclass correlation"),
    later("Embedding"), later("Real age"), later("Apparent age"), later("Gender"), later("Emotion"),
    later("identity"), later("person"), later("machine"), later("import"),
    later("Parquet with the pictures in it, as DAGER keeps it"), later("WebDataset, tar shards"),
    later("Folders of pictures with metadata.jsonl"), later("CSV with the pictures beside it"),
    later("COCO, boxes and 68 key points"),
    later("Photo"), later("Face"), later("Source"), later("Source past its retention"),
)  # fmt: skip

# What an erasure counts, by what stands in its report: tables of rows that went, and what else was done.
ERASED: dict[str, Text] = {
    "annotation.Photo": later("Photos"),
    "annotation.Face": later("Faces"),
    "annotation.Embedding": later("Vectors"),
    "annotation.NetworkOutput": later("What networks said of a face"),
    "annotation.Proposal": later("Proposals"),
    "annotation.Label": later("Labels of who it is"),
    "annotation.AttributeLabel": later("Labels of attributes"),
    "annotation.Decision": later("Lines of the ledger"),
    "annotation.Identity": later("People, with their names"),
    "annotation.Cluster": later("Clusters left empty"),
    "annotation.Membership": later("Faces taken out of clusters"),
    "annotation.Question": later("Questions"),
    "annotation.Question (shortened)": later("Questions of which a part went"),
    "annotation.QuestionFace": later("Faces taken out of questions"),
    "annotation.Answer": later("Answers"),
    "annotation.Answer (shortened)": later("Answers of which a part went"),
    "annotation.Vote": later("Votes"),
    "annotation.Feedback": later("Corrections by clients"),
    "annotation.Feedback (shortened)": later("Corrections of which a part went"),
    "annotation.KeptAnswer": later("Kept answers of the API"),
    "annotation.FaceSearch (shortened)": later("Searches by face of which a part went"),
    "annotation.MapPoint": later("Points on the map"),
    "annotation.Copy": later("Names under which copies came"),
    "annotation.Refusal": later("Lines of files that were refused"),
    "annotation.Intake": later("Intakes"),
    "annotation.Source": later("Sources"),
    "annotation.User_sources": later("Restrictions of people to the source"),
    "annotation.LegalHold": later("Legal holds that were lifted or over"),
    "annotation.Tombstone": later("Photos refused from now on, by keyed hash"),
    "annotation.ErasedFace": later("Places of faces that were erased before"),
    "annotation.ErasedFace (kept)": later("Places that are not searched for faces any more"),
    "training.Evaluation (shortened)": later("Evaluations of which examples went"),
    "handed over": later("Photos that go on under another source"),
    "blacked out": later("Photos that go on with the face black"),
    "galleries": later("Galleries made anew"),
    "uploaded deliveries": later("Uploaded deliveries"),
    "kept crops of releases": later("Releases whose kept crops went"),
}
ERASED_FILES: dict[str, Text] = {
    "photos": later("Files of photos"),
    "crops": later("Files of crops"),
    "thumbnails": later("Files of thumbnails"),
}


def erased(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """What an erasure counted, in words."""
    named = {**ERASED, **ERASED_FILES}
    return [(str(named.get(name, name)), count) for name, count in sorted(counts.items())]


def called(choices: Iterable[tuple[str, Text]]) -> list[tuple[str, Text]]:
    """Choices as a form shows them, in the language of whoever looks."""
    return [(value, later(str(text))) for value, text in choices]


def evidence(told: Mapping[str, Any]) -> list[str]:
    """What a line of the ledger rests on, as far as it says something to a person; the rest is for programs."""
    of_set, born, taken = told.get("set"), told.get("born"), told.get("taken")
    votes, guesses = told.get("votes"), told.get("guesses")
    parts = [
        _("question {pk}").format(pk=told["question"]) if "question" in told else "",
        ngettext("{count} vote", "{count} votes", votes).format(count=votes) if votes else "",
        ngettext("{count} guess", "{count} guesses", guesses).format(count=guesses) if guesses else "",
        _("believed to {share}").format(share=f"{told['belief']:.0%}") if "belief" in told else "",
        _("a curator’s verdict") if told.get("verdict") is True else "",
        _("certificate {pk}").format(pk=told["certificate"]) if "certificate" in told else "",
        _("confidence {share}").format(share=f"{told['confidence']:.0%}") if "confidence" in told else "",
        _("born {date}").format(date=born) if born else "",
        _("taken {date}").format(date=taken) if taken else "",
        _("written in {set}, {file}").format(set=of_set, file=told.get("file", "")) if of_set else "",
    ]
    return [part for part in parts if part]


def against(reason: Mapping[str, Any]) -> str:
    """What speaks against what is written, of a question that was raised by it."""
    match reason:
        case {"kind": "disbelieved", "label": label, "votes": votes, "models": value, "belief": belief}:
            told = {"label": _(label), "count": votes, "value": _(value), "share": f"{belief:.0%}"}
            if not votes:
                return _(
                    "Labelled {label} by the set that it came with. The models, which have not seen that, say {value} "
                    "({share})."
                ).format(**told)
            return ngettext(
                "Labelled {label} by {count} answer. The models, which have not seen that, say {value} ({share}).",
                "Labelled {label} by {count} answers. The models, which have not seen that, say {value} ({share}).",
                votes,
            ).format(**told)
        case {"kind": "seen", "seen": seen, "written": written, "times": times}:
            return _(
                "The network sees about {seen} years, the dates or the record say {written}: {times} times as far "
                "apart as is usual at that age."
            ).format(seen=f"{seen:.0f}", written=f"{written:.1f}", times=f"{times:.1f}")
        case {"kind": "dates", "others": 0}:
            return _("Their dates contradict each other.")
        case {"kind": "dates", "others": others}:
            return ngettext(
                "Their dates do not fit those of {count} other photo of this person.",
                "Their dates do not fit those of {count} other photos of this person.",
                others,
            ).format(count=others)
        case {"kind": "merged", "into": into, "said": said}:
            each = (_("person {pk} {value}").format(pk=pk, value=_(value)) for pk, value in said)
            return _(
                "Merged into person {pk} though different things were said of them: {said}. If they are two, undo the "
                "merge on their page."
            ).format(pk=into, said=", ".join(each))
    return ""


def against_for(question: Question, *, curates: bool) -> str:
    """The same to whom it may be told. What speaks against a value names what others said, or the models, and is a
    curator's to read as long as the question is there, whatever it is asked for by now."""
    return against(question.reason) if curates or question.kind == Question.Kind.RECORD else ""


def why_asked(question: Question, *, curates: bool) -> str:
    """Why somebody is asked, and nothing that would sway them: what chance picked, what is known already and what is
    asked again looks like anything else. What others answered is a curator's to read."""
    if told := against_for(question, curates=curates):
        return told
    if question.purpose == Question.Purpose.DOUBT:
        return _("The models do not see it as it is labelled; look for yourself.")
    if question.purpose == Question.Purpose.VERDICT:
        return _("People disagree about this one: your word settles it.")
    match question.kind:
        case Question.Kind.CLUSTER:
            return _("The machine takes these for one person; nobody has looked at them together yet.")
        case Question.Kind.PAIR:
            return _("The machine takes these two for alike; only people can say whether they are one.")
        case Question.Kind.GRID:
            return _(
                "The machine proposes the same for all of these; some are here because it is unsure, some by chance."
            )
        case Question.Kind.RECORD:
            return _("What is written of these photos does not fit together.")
    if not ATTRIBUTES[question.attribute].values:
        return _("How old somebody looks is a matter of opinion: many are asked, none hears of the others.")
    return _(
        "People look at such faces each for themselves; some are here because the machine is unsure, some by chance."
    )


def for_scripts(request: HttpRequest) -> dict[str, Texts]:
    """What scripts say, on every page: a context processor."""
    return {"words_of_all": EVERYWHERE}
