"""What a project asks of a person before they get tasks: to have passed the quiz, to have accepted the guideline."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.timezone import now

from annotate.learning import quiz
from annotate.models import Guideline, Project, QuizTry, Role, User

SETTING, MARK = "ask_quiz", "quiz_pass"
FEWEST_RIGHT = 5  # the lowest mark that a project may set: guessing reaches it once in 37 tries
TRIES_A_DAY = 2
DAY = timedelta(days=1)


def waits_for_quiz(project: Project, user: User) -> bool:
    """Whether this assessor gets no task here yet. Two queries where the project asks, else none.

    Reviewers and admins, who vet others, are not asked.
    """
    if not project.settings.get(SETTING) or user.roles(project) != {Role.ASSESSOR}:
        return False
    return passed(user, mark=mark_of(project)) is None


def mark_of(project: Project | None) -> int:
    """How many answers must be right to pass; of nobody's project the quiz's own mark."""
    return int(project.settings.get(MARK, quiz.PASS)) if project else quiz.PASS


def asking(user: User) -> Project | None:
    """The first project that asks this person for the quiz, whether they have passed it or not. Two queries or more."""
    projects = Project.objects.visible_to(user).filter(**{f"settings__{SETTING}": True}).order_by("pk")
    return next((one for one in projects if user.roles(one) == {Role.ASSESSOR}), None)


def passed(user: User, *, mark: int) -> QuizTry | None:
    """The newest try of the questions' present major version that reached the mark."""
    major = quiz.version("en").split(".")[0]
    return user.quiz_tries.filter(right__gte=mark, version__startswith=f"{major}.").order_by("-pk").first()


def must_accept(project: Project, user: User) -> Guideline | None:
    """The newest version, where user has accepted none since the last major one, or since it; else None."""
    major = project.guidelines.filter(major=True).order_by("-version").first()
    if major is None or user.acceptances.filter(guideline__project=project, guideline__version__gte=major.version):
        return None
    return project.guidelines.order_by("-version").first()


def next_try_at(user: User) -> datetime | None:
    """When a person who is asked to pass may begin again, after two tries in a day; None where at once."""
    asking = Project.objects.visible_to(user).filter(**{f"settings__{SETTING}": True})
    if not any(waits_for_quiz(project, user) for project in asking):
        return None
    begun = (
        user.quiz_tries.filter(created_at__gt=now() - DAY).order_by("-created_at").values_list("created_at", flat=True)
    )
    recent = list(begun[:TRIES_A_DAY])
    return recent[-1] + DAY if len(recent) == TRIES_A_DAY else None
