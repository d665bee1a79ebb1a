from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rlhf", "0003_probes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="stage",
            field=models.CharField(
                choices=[
                    ("pretrain", "Pretrain"),
                    ("sft", "Sft"),
                    ("reward", "Reward"),
                    ("ppo", "Ppo"),
                    ("dpo", "Dpo"),
                    ("generate", "Generate"),
                    ("evaluate", "Evaluate"),
                    ("map", "Map"),
                ],
                max_length=8,
            ),
        ),
    ]
