"""Live numbers that texts to learn from name: those of the pipeline, of snapshots and of models."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count

from annotate.models import Project
from rlhf.models import Generation, Model, Snapshot
from rlhf.pages.counts import count


def numbers(project: Project) -> Mapping[str, int]:
    """Counts only, no figure of a model: assessors read them too. Nine queries."""
    found = count(project)
    models = dict(Model.objects.filter(project=project).values_list("kind").annotate(n=Count("pk")))
    return {
        "documents": found.documents,
        "documents_kept": found.kept,
        "documents_rejected": found.decided("clean", "reject"),
        "documents_waiting": found.waiting.get("clean", 0),
        "prompts": found.prompts,
        "answers": found.answers,
        "answers_waiting": found.to_write(),
        "rankings": found.rankings,
        "rankings_waiting": found.to_rank(),
        "corpus_snapshots": Snapshot.objects.frozen().filter(project=project, kind=Snapshot.Kind.CORPUS).count(),
        "bases": models.get(Model.Kind.BASE, 0),
        "instruct_models": models.get(Model.Kind.SFT, 0),
        "reward_models": models.get(Model.Kind.REWARD, 0),
        "policies": models.get(Model.Kind.POLICY, 0),
        "generations": Generation.objects.filter(run__project=project).count(),
    }
