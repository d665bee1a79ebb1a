"""Store an instruction that a person wrote, as the prompt of what they answer to it."""

from __future__ import annotations

from hashlib import sha256

from annotate.actions.flag_texts import place_texts
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Group, Project, Text, User


def write_prompt(body: str, *, author: User, project_id: int) -> Text:
    """The first prompt of the project with these words: the one that stands, whoever brought it, else author's new one.

    A new one that nearly repeats another shares its group, and so its side of the split. The caller has a transaction.
    """
    project = Project.objects.select_for_update(no_key=True).get(pk=project_id)  # twins that arrive at once meet here
    digest = sha256(body.encode()).hexdigest()
    known = Text.objects.prompts().filter(project=project, sha256=digest, parent=None).first()
    if known:
        return known
    split = Group.split_of(project=project, first_sha256=digest)
    prompt = Text.objects.create(
        project=project,
        group=Group.objects.create(project=project, first_sha256=digest, split=split),
        kind=Text.Kind.PROMPT,
        body=body,
        sha256=digest,
        origin=Text.Origin.HUMAN,
        author=author,
    )
    place_texts([prompt], Thresholds.of(project.settings))
    prompt.refresh_from_db(fields=["group"])
    return prompt
