import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Count, F, Max, Min, OuterRef, Q, Subquery, Value


def find_sources(apps, schema_editor):
    """What `questions.store` tells of a new question, told of those that are open already.

    Of pairs it is not: where it is unknown they are found as before, by the two people.
    """
    source, copied = F("face__photo__source"), "face__photo__copies"
    shown = apps.get_model("annotation", "QuestionFace").objects.filter(question=OuterRef("pk"))
    told = shown.order_by().annotate(all=Value(1)).values("all")
    told = told.annotate(
        first=Min(source), last=Max(source), again=Count(copied, filter=~Q(**{f"{copied}__source": source}))
    )
    only = Subquery(told.filter(first=F("last"), again=0).values("first"))
    open_ = apps.get_model("annotation", "Question").objects.filter(state="open")
    open_.exclude(kind="pair").update(source=only)


class Migration(migrations.Migration):
    dependencies = [("annotation", "0003_votes_by_annotator")]

    operations = [
        migrations.AddField(
            model_name="question",
            name="source",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="annotation.source",
            ),
        ),
        migrations.AddIndex(
            model_name="question",
            index=models.Index(
                condition=models.Q(("state", "open")),
                fields=["source", "-worth", "id"],
                name="question_open_of_source",
            ),
        ),
        migrations.RunPython(find_sources, migrations.RunPython.noop, elidable=True),
    ]
