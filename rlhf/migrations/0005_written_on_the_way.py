"""A run may have written an answer before it made its model."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rlhf", "0004_dpo"),
    ]

    operations = [
        migrations.AlterField(
            model_name="generation",
            name="model",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="generations",
                to="rlhf.model",
            ),
        ),
    ]
