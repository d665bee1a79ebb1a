"""A person says which of three words is the odd one."""

from __future__ import annotations

from collections.abc import Sequence

from annotate.errors import AnnotateError
from annotate.models import Consent, Project, SimilarityVote, User


def vote_similarity(*, project: Project, words: Sequence[str], odd: str, by: User) -> SimilarityVote:
    """A new row, which holds from now on; an empty odd takes by's vote on these words back.

    Raises AnnotateError with code
        no_consent  409: by does not allow their answers to be kept
        bad_words   422: not three different words
        bad_odd     422: none of them
    """
    if not by.allows(Consent.Scope.ANNOTATION, project):
        raise AnnotateError("no_consent", "Your votes are kept only after you allow it: see Consent.", status=409)
    longest = max(map(len, words), default=0)
    if len(words) != 3 or len(set(words)) != 3 or not all(words) or longest > SimilarityVote.MOST:
        sentence = f"Three different words are needed, each of 1 to {SimilarityVote.MOST} characters."
        raise AnnotateError("bad_words", sentence, status=422, field="words")
    if odd and odd not in words:
        raise AnnotateError("bad_odd", f"{odd[:40]} is none of {', '.join(words)}.", status=422, field="odd")
    return SimilarityVote.objects.create(project=project, user=by, words=sorted(words), odd=odd)
