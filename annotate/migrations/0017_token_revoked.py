"""A revoked token is kept for a week, so that its Undo brings the same key back."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotate", "0016_hidden_for_the_day")]

    operations = [
        migrations.AddField(model_name="token", name="revoked_at", field=models.DateTimeField(null=True)),
    ]
