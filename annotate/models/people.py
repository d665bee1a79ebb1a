"""People, their projects and what they may do there. Sign-in itself is Django's."""

from __future__ import annotations

import secrets
import uuid
from hashlib import sha256

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Now


class Role(models.TextChoices):
    ASSESSOR = "assessor"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class UserManager(BaseUserManager["User"]):
    def create_user(self, name: str, password: str | None = None, *, scripted: bool = False) -> User:
        user = self.model(name=name, scripted=scripted)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, name: str, password: str | None = None) -> User:
        user = self.model(name=name, is_superuser=True)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """A person, or a script that plays one: `scripted` is set when the row is made and never changes.

    A superuser may make projects and has no other power: all else comes from memberships. choice_sends: between two
    answers the choice is sent at once, without Submit. own_keys: what they press in place of a key of the registry, by
    its name (`annotate.pages.keys`).
    """

    class Theme(models.TextChoices):
        SYSTEM = "system"
        LIGHT = "light"
        DARK = "dark"
        CONTRAST = "contrast"

    class Size(models.IntegerChoices):
        """Of text, in percent of what the browser has set."""

        NORMAL = 100
        LARGE = 112
        LARGER = 125

    class Depth(models.TextChoices):
        BASIC = "basic"
        MEDIUM = "medium"
        DETAILED = "detailed"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=40, unique=True)
    scripted = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_superuser = models.BooleanField(default=False)
    theme = models.CharField(max_length=8, choices=Theme.choices, default=Theme.SYSTEM)
    text_size = models.PositiveSmallIntegerField(choices=Size.choices, default=Size.NORMAL)
    keys_on = models.BooleanField(default=True)
    choice_sends = models.BooleanField(default=False)
    own_keys = models.JSONField(default=dict)
    explain_depth = models.CharField(max_length=8, choices=Depth.choices, default=Depth.BASIC)
    created_at = models.DateTimeField(db_default=Now())

    USERNAME_FIELD = "name"
    objects = UserManager()

    def __str__(self) -> str:
        return self.name

    def roles(self, project: Project) -> set[str]:
        """The roles held in project, read anew each time. One query."""
        if not self.is_active:
            return set()
        return set(self.memberships.filter(project=project).values_list("role", flat=True))

    def holds(self, role: str, project: Project) -> bool:
        return role in self.roles(project)

    def allows(self, scope: str, project: Project) -> bool:
        """Whether the person's newest consent in project holds the scope. One query."""
        newest = self.consents.filter(project=project).order_by("-pk").values_list("scopes", flat=True).first()
        return scope in (newest or [])

    def pseudonym(self, project: Project) -> str:
        """What others in the project see in place of the name: the same each time, another in each project."""
        return "person-" + sha256(f"{project.split_seed}:{self.uuid}".encode()).hexdigest()[:8]


class ProjectQuerySet(models.QuerySet["Project"]):
    def visible_to(self, user: User) -> ProjectQuerySet:
        return self.filter(pk__in=projects_of(user))


def new_seed() -> int:
    return secrets.randbelow(2**63)


class Project(models.Model):
    """Where people work together. Each other row reaches exactly one project.

    settings: what an admin may change, by key: `min_words`, `answers_per_prompt`, …; absent means the default.
    split_seed: decides which groups are held out, for good (`Group`).
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    settings = models.JSONField(default=dict)
    split_seed = models.BigIntegerField(default=new_seed, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    objects = ProjectQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user", "role"], name="one_row_per_project_user_and_role"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="membership_role_is_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} in {self.project_id}"


def projects_of(user: User) -> models.QuerySet[Membership, int]:
    """Keys of the projects that user belongs to, for a subquery."""
    return Membership.objects.filter(user=user).values_list("project", flat=True)


class Guideline(models.Model):
    """What a project asks of its people, in Markdown. A change is a new version.

    major: each person accepts it, or a later version, before their next task.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    major = models.BooleanField(default=False, db_default=False)
    body = models.TextField()
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="one_guideline_per_version")]

    def __str__(self) -> str:
        return f"guideline {self.version} of {self.project_id}"


class Acceptance(models.Model):
    """A person has read a version of a guideline and will judge by it."""

    guideline = models.ForeignKey(Guideline, models.CASCADE, related_name="acceptances")
    user = models.ForeignKey(User, models.CASCADE, related_name="acceptances")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["guideline", "user"], name="one_acceptance_per_guideline_and_person")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} accepted guideline {self.guideline_id}"


class Consent(models.Model):
    """What a person allows to be done with what they give. The newest row counts; without scopes it is a withdrawal.

    version: of the text that they were shown.
    """

    class Scope(models.TextChoices):
        ANNOTATION = "annotation"
        TRAINING = "training"
        RELEASE = "release"

    VERSION = 1

    project = models.ForeignKey(Project, models.CASCADE, related_name="consents")
    user = models.ForeignKey(User, models.CASCADE, related_name="consents")
    version = models.PositiveIntegerField()
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.user_id} allows {', '.join(self.scopes) or 'nothing'} in {self.project_id}"


class TokenQuerySet(models.QuerySet["Token"]):
    def standing(self) -> TokenQuerySet:
        """Those that nobody has revoked."""
        return self.filter(revoked_at=None)


class Token(models.Model):
    """A personal key to the API. The key itself is shown once and stored as its SHA-256.

    revoked_at: since then it opens nothing; for a week that can be taken back, then the row goes.
    """

    class Scope(models.TextChoices):
        READ = "read"
        ANNOTATE = "annotate"
        MANAGE = "manage"
        TRAIN = "train"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    sha256 = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=12)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    objects = TokenQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @staticmethod
    def digest(key: str) -> str:
        return sha256(key.encode()).hexdigest()
