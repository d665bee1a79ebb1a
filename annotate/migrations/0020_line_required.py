"""A queue may require that a ranking says where acceptable ends."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotate", "0019_trainings_to_send")]

    operations = [
        migrations.AddField(model_name="queue", name="line_required", field=models.BooleanField(default=False)),
    ]
