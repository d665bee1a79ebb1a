from django.apps import AppConfig


class RlhfConfig(AppConfig):
    name = "rlhf"
    verbose_name = "Where people and machines meet"
    default_auto_field = "django.db.models.BigAutoField"
