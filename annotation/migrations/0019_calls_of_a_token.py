from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0018_sign_in'),
    ]

    operations = [
        migrations.AddField(
            model_name='accesstoken',
            name='calls_a_minute',
            field=models.PositiveIntegerField(null=True),
        ),
    ]
