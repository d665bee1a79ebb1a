"""What a model makes of one prompt, token by token (E5): the likeliest next ones, and those of given answers.

Letters: V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch

from trainer import data, sampling
from trainer.base import Model, head_weight, trunk
from trainer.contract.errors import TrainerError
from trainer.contract.rows import Answer, Message
from trainer.packing import pack
from trainer.tokenizer import Tokenizer, common

TOP = 20
CHUNK = 1_024  # weighed tokens of one product with the head
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Asked:
    """A prompt's ids, and for each answer what stands before it and its own ids."""

    ids: list[int]
    answers: list[tuple[list[int], list[int]]]

    def require(self, *, context: int) -> None:
        """Refuse what the model cannot hold. Raises context_too_long."""
        longest = max([len(self.ids), *(len(start) + len(answer) for start, answer in self.answers)])
        if longest > context:
            sentence = f"The prompt has {longest} tokens with its longest answer; the model holds {context}."
            raise TrainerError("context_too_long", sentence)


def as_question(words: Tokenizer, prompt: str, answers: list[str]) -> Asked:
    """The prompt as a user's message; answers end with their end token. Raises no_template."""
    asked = [Message(role="user", content=prompt)]
    given = [Answer(id=str(number), text=answer) for number, answer in enumerate(answers)]
    found = data.render_answers(words, asked, given)
    if found is None:
        raise TrainerError("no_template", "The base's chat template refuses a user's message; use touchstone's.")
    return Asked(found[0], [(found[0], answer) for answer in found[1]])


def as_text(words: Tokenizer, prompt: str, answers: list[str]) -> Asked:
    """The prompt as the beginning of a document; an answer goes on where it ends, without an end token.

    Each answer is encoded with the prompt, as a model meets text: what the encoding of the prompt alone begins with too
    is given, all after it is the answer's. So a token that reaches over the border is the answer's.
    """
    alone, *wholes = ([words.start_id, *ids] for ids in words.encode([prompt, *(prompt + one for one in answers)]))
    starts = [common(alone, whole) for whole in wholes]
    return Asked(alone, [(whole[:start], whole[start:]) for whole, start in zip(wholes, starts, strict=True)])


@torch.no_grad()
def next_token(model: Model, words: Tokenizer, ids: list[int]) -> Json:
    """The 20 likeliest tokens after ids, the mass of all others, and the entropy in nats; softmax in float64.

    By the adapter in use. Raises not_finite.
    """
    state = trunk(model, pack([ids]).to(model.device))[-1]
    logp = (head_weight(model).float() @ state.float()).double().log_softmax(0).cpu()  # [V]
    if not logp.isfinite().all():
        raise TrainerError("not_finite", "The model's log-probabilities are not finite; its weights are broken.")
    top = logp.topk(min(TOP, len(logp)))
    likely = zip(top.indices.tolist(), top.values.exp().tolist(), strict=True)
    return {
        "entropy": -float((logp.exp() * logp).sum()),
        "other": max(0.0, 1 - float(top.values.exp().sum())),
        "next": [{"id": token, "text": words.token_text(token), "p": p} for token, p in likely],
    }


@torch.no_grad()
def answer_tokens(model: Model, words: Tokenizer, start: list[int], answer: list[int]) -> Json:
    """An answer's log-probability after start, in nats: token by token, their sum and their mean."""
    given, own = [torch.tensor(start)], [torch.tensor(answer)]
    logp = sampling.answer_logprobs(model, given, own, temperature=1.0, chunk=CHUNK)[0].double().tolist()
    tokens = [
        {"id": token, "text": words.token_text(token), "logp": round(one, 6)}
        for token, one in zip(answer, logp, strict=True)
    ]
    return {"sum": sum(logp), "mean": sum(logp) / max(1, len(logp)), "tokens": tokens}
