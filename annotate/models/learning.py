"""What people do to learn: cards with their reviews, tries of the quiz, votes. All of it is private to the person.

Reviews, answers and votes only append. Cards of the glossary are files (`annotate.learning`); rows are those that a
project added.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from annotate.models.people import Project, User


class Card(models.Model):
    """A card that a reviewer added to a project's deck. Taken out, it stays for those who have reviewed it."""

    MOST = 500

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="cards")
    front = models.CharField(max_length=MOST)
    back = models.CharField(max_length=MOST)
    example = models.CharField(max_length=MOST, blank=True)
    added_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.front


class CardReview(models.Model):
    """One rating of one card. card: its key in the deck (`annotate.deck`). shown: a hash of what stood on it.

    ms: from showing to rating, null where it is not known. library: what computed the next date.
    """

    class Rating(models.IntegerChoices):
        AGAIN = 1
        HARD = 2
        GOOD = 3
        EASY = 4

    user = models.ForeignKey(User, models.PROTECT, related_name="card_reviews")
    card = models.CharField(max_length=80)
    number = models.PositiveIntegerField()
    rating = models.PositiveSmallIntegerField(choices=Rating.choices)
    at = models.DateTimeField()
    ms = models.PositiveIntegerField(null=True)
    shown = models.CharField(max_length=12)
    library = models.CharField(max_length=40)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "card", "number"], name="one_review_per_user_card_and_number"),
            models.CheckConstraint(condition=Q(rating__gte=1, rating__lte=4), name="card_rating_is_1_to_4"),
        ]

    def __str__(self) -> str:
        return f"{self.rating} for {self.card} by {self.user_id}"


class CardState(models.Model):
    """What replaying a person's reviews of a card gives (`annotate.learning.schedule.Memory`): a cache of it.

    reviews: how many were replayed. first_at: the first one. shown: of the last one.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="card_states")
    card = models.CharField(max_length=80)
    reviews = models.PositiveIntegerField()
    state = models.PositiveSmallIntegerField()
    step = models.PositiveSmallIntegerField(null=True)
    stability_days = models.FloatField()
    difficulty = models.FloatField()
    due_at = models.DateTimeField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    shown = models.CharField(max_length=12)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "card"], name="one_state_per_user_and_card")]

    def __str__(self) -> str:
        return f"{self.card} of {self.user_id}, due {self.due_at}"


class QuizTry(models.Model):
    """One go at the quiz. drawn: [{slug, order}], so that a changed file does not change it.

    version: of the questions, major.minor. right: how many of the answers were, once it is finished.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="quiz_tries")
    seed = models.BigIntegerField()
    version = models.CharField(max_length=12)
    drawn = models.JSONField()
    right = models.PositiveSmallIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"quiz of {self.user_id}: {self.right}"


class QuizAnswer(models.Model):
    """number: of the question, from 1. option: its place as shown, from 0."""

    quiz = models.ForeignKey(QuizTry, models.PROTECT, related_name="answers")
    number = models.PositiveSmallIntegerField()
    option = models.PositiveSmallIntegerField()
    right = models.BooleanField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["quiz", "number"], name="one_answer_per_quiz_and_number")]

    def __str__(self) -> str:
        return f"answer {self.number} of quiz {self.quiz_id}"


class SimilarityVote(models.Model):
    """Which of three words of a language map a person finds the odd one; the newest row of a person and words holds.

    words: in order of the alphabet, however they stood. odd: one of them; empty takes the vote back.
    """

    MOST = 80

    project = models.ForeignKey(Project, models.CASCADE, related_name="similarity_votes")
    user = models.ForeignKey(User, models.CASCADE, related_name="similarity_votes")
    words = models.JSONField()
    odd = models.CharField(max_length=MOST, blank=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.odd or 'nothing'} of {', '.join(self.words)}"
