"""The records of what people decide, one file a family; `spec/annotation.md`, section 1, names them."""

from annotate.models.judgements import Draft, ErasureOpen, Judgement, Presentation, Revision, SubmitKey
from annotate.models.learning import Card, CardReview, CardState, QuizAnswer, QuizTry
from annotate.models.people import Guideline, Membership, Project, Role, Token, User
from annotate.models.tasks import Exclusion, LeaseEvent, Queue, Slot, Task, TaskText
from annotate.models.texts import (
    Band,
    Batch,
    Flag,
    Group,
    Hot,
    Import,
    Refusal,
    Scan,
    Sighting,
    Source,
    Text,
)

__all__ = [
    "Band",
    "Batch",
    "Card",
    "CardReview",
    "CardState",
    "Draft",
    "ErasureOpen",
    "Exclusion",
    "Flag",
    "Group",
    "Guideline",
    "Hot",
    "Import",
    "Judgement",
    "LeaseEvent",
    "Membership",
    "Presentation",
    "Project",
    "Queue",
    "QuizAnswer",
    "QuizTry",
    "Refusal",
    "Revision",
    "Role",
    "Scan",
    "Sighting",
    "Slot",
    "Source",
    "SubmitKey",
    "Task",
    "TaskText",
    "Text",
    "Token",
    "User",
]
