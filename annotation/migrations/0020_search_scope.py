from django.db import migrations

OPENED = {"predict", "curate"}  # search by face, until it had a scope of its own


def give(apps, schema_editor):
    """Tokens that there are keep what they may do."""
    for token in apps.get_model("annotation", "AccessToken").objects.all():
        if OPENED & set(token.scopes):
            token.scopes = sorted({*token.scopes, "search"})
            token.save(update_fields=["scopes"])


def take(apps, schema_editor):
    """Back there, `predict` and `curate` open it again; one that may search only opened nothing then."""
    for token in apps.get_model("annotation", "AccessToken").objects.all():
        token.scopes = [scope for scope in token.scopes if scope != "search"]
        token.save(update_fields=["scopes"])


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0019_calls_of_a_token'),
    ]

    operations = [migrations.RunPython(give, take)]
