from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0006_outputs_of_live_networks'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='proposal',
            name='features',
        ),
    ]
