import re

from django.db import migrations, models

LABEL = re.compile(
    r"Labelled (\S+) by (?:(\d+) answers?|the set that it came with)\. "
    r"The models, which have not seen that, say (\S+) \((\d+)%\)\."
)
SEEN = re.compile(r"The network sees about (\d+) years, the dates or the record say ([\d.]+): ([\d.]+) times")
DATES = re.compile(r"Their dates (?:do not fit those of (\d+) other|contradict each other)")
MERGED = re.compile(r"Merged into person (\d+) though")
SAID = re.compile(r"person (\d+) ([a-z]+)[,.]")


def read(text):
    """The parts of a reason that was kept as an English sentence."""
    if found := LABEL.match(text):
        label, votes, models_say, percent = found.groups()
        belief = int(percent) / 100
        return {"kind": "disbelieved", "label": label, "votes": int(votes or 0), "models": models_say, "belief": belief}
    if found := SEEN.match(text):
        return {"kind": "seen", **dict(zip(("seen", "written", "times"), map(float, found.groups()), strict=True))}
    if found := DATES.match(text):
        return {"kind": "dates", "others": int(found[1] or 0)}
    if found := MERGED.match(text):
        return {"kind": "merged", "into": int(found[1]), "said": [[int(pk), value] for pk, value in SAID.findall(text)]}
    return {}


def take_apart(apps, schema_editor):
    questions = apps.get_model("annotation", "Question").objects
    changed = []
    for question in questions.exclude(sentence="").only("pk", "sentence").iterator(chunk_size=1_000):
        question.reason = read(question.sentence)
        changed.append(question)
    questions.bulk_update(changed, ["reason"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0007_who_was_let_back")]

    operations = [
        migrations.RenameField("question", "reason", "sentence"),
        migrations.AddField("question", "reason", models.JSONField(default=dict)),
        migrations.RunPython(take_apart, migrations.RunPython.noop),
        migrations.RemoveField("question", "sentence"),
    ]
