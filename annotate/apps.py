from django.apps import AppConfig


class AnnotateConfig(AppConfig):
    name = "annotate"
    verbose_name = "What people decide"
    default_auto_field = "django.db.models.BigAutoField"
