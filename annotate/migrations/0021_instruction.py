"""A queue to write may ask for the instruction too."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("annotate", "0020_line_required")]

    operations = [
        migrations.AddField(model_name="queue", name="instruction", field=models.BooleanField(default=False)),
        migrations.AddConstraint(
            model_name="queue",
            constraint=models.CheckConstraint(
                condition=Q(instruction=False) | Q(kind="write_answer"), name="only_who_writes_writes_instructions"
            ),
        ),
    ]
