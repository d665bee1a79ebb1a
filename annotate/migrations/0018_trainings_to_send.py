"""A wish for a game start may wait for the sweep to ask a worker first."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotate", "0017_token_revoked")]

    operations = [
        migrations.AlterField(
            model_name="gametraining",
            name="sent_at",
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True),
        ),
    ]
