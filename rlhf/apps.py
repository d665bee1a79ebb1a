from django.apps import AppConfig


class RlhfConfig(AppConfig):
    name = "rlhf"
    verbose_name = "Where people and machines meet"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Make the project's Celery application the current one, and register the checks of the settings."""
        from rlhf import celery, checks  # noqa: F401 only to have them loaded
