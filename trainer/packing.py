"""Packed passes: rows laid end to end without padding, a beginning that rows have in common only once, and how rows
share passes. `attention` says what each token sees.

Letters: T packed tokens, N counted tokens, B rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trainer.attention import Branches, Layout
from trainer.contract.rundir import Run
from trainer.data import Example, Lengths, Step
from trainer.tokenizer import Tokenizer, common

WORTH = 16  # tokens of a common beginning below which another product with it costs more than it saves


@dataclass(frozen=True)
class Packed:
    """Rows of one pass. Each counted token is predicted by the state before it in its row."""

    ids: Tensor  # [T]
    positions: Tensor  # [T], from 0 in each row
    layout: Layout
    at: Tensor  # [N]: whose state predicts a counted token
    targets: Tensor  # [N]: that token
    weights: Tensor  # [N]
    rows: Tensor  # [N]: its row, in the order given
    ends: Tensor  # [B]: each row's last token

    def to(self, device: torch.device) -> "Packed":
        """The same pass on a device."""
        moved = {name: part.to(device) for name, part in vars(self).items() if isinstance(part, Tensor)}
        return replace(self, **moved)  # type: ignore[arg-type]  # none of them is the layout

    def in_order(self) -> list[list[int]]:
        """Each row's packed indices, in the order in which rows were given."""
        by_end = {int(places[-1]): places.tolist() for places in self.layout.rows()}
        return [by_end[end] for end in self.ends.tolist()]


def collate(examples: Sequence[Example], rows: Sequence[int]) -> Packed:
    """The chosen examples in one pass. A row's first token is never counted: nothing predicts it (S1)."""
    chosen = [examples[row] for row in rows]
    return pack(
        [example.ids for example in chosen],
        counted=[[False, *example.mask[1:]] for example in chosen],
        weights=[example.weight for example in chosen],
    )


def pack_answers(prompts: Sequence[Tensor], answers: Sequence[Tensor]) -> Packed:
    """Each answer after its prompt, every prompt once; the answers' tokens count, their end tokens included (D7).

    at, targets and rows stand answer after answer, in the order given, whatever order the tokens are packed in.
    """
    asked = [prompt.tolist() for prompt in prompts]
    given = [answer.tolist() for answer in answers]
    return pack(
        [[*prompt, *answer] for prompt, answer in zip(asked, given, strict=True)],
        counted=[[False] * len(prompt) + [True] * len(answer) for prompt, answer in zip(asked, given, strict=True)],
    )


def pack(
    rows: Sequence[Sequence[int]],
    *,
    counted: Sequence[Sequence[bool]] | None = None,
    weights: Sequence[float] | None = None,
) -> Packed:
    """Rows of ids in one pass; a beginning that several have in common is stored once (D5, D7).

    counted: which tokens of each row are predicted, never its first; none where not given.
    """
    entries, ids, places = _lay(rows)
    layout = Layout(tuple(entries))
    at, targets, shares, owners = [], [], [], []
    for row, marks in enumerate(counted or []):
        share = weights[row] if weights else 1.0
        for slot, mark in enumerate(marks):
            if mark:
                at.append(places[row][slot - 1])
                targets.append(rows[row][slot])
                shares.append(share)
                owners.append(row)
    return Packed(
        ids=torch.tensor(ids),
        positions=layout.positions(),
        layout=layout,
        at=torch.tensor(at, dtype=torch.long),
        targets=torch.tensor(targets, dtype=torch.long),
        weights=torch.tensor(shares, dtype=torch.float32),
        rows=torch.tensor(owners, dtype=torch.long),
        ends=torch.tensor([own[-1] for own in places]),
    )


def _lay(rows: Sequence[Sequence[int]]) -> tuple[list[Branches], list[int], list[list[int]]]:
    """(entries, packed ids, each row's packed indices). Longest entries first, and equal lengths side by side."""
    families = sorted(_families(rows), key=lambda found: (-max(len(rows[row]) for row in found[0]), found[0]))
    entries: list[Branches] = []
    ids: list[int] = []
    places: list[list[int]] = [[] for _ in rows]
    for members, shared in families:
        trunk = list(range(len(ids), len(ids) + shared))
        ids += rows[members[0]][:shared]
        lengths = []
        for row in sorted(members, key=lambda row: (-len(rows[row]), row)):
            own = rows[row][shared:]
            places[row] = trunk + list(range(len(ids), len(ids) + len(own)))
            ids += own
            lengths.append(len(own))
        entries.append(Branches(shared, tuple(lengths)) if len(members) > 1 else Branches(len(rows[members[0]])))
    return entries, ids, places


def _families(rows: Sequence[Sequence[int]]) -> list[tuple[list[int], int]]:
    """Rows by the beginning that they have in common, and its length; a row without relations has all of itself.

    In alphabetical order relations are neighbours; one more joins where the family then saves no less.
    """
    families: list[tuple[list[int], int]] = []
    for row in sorted(range(len(rows)), key=lambda row: (list(rows[row]), row)):
        if families:
            members, shared = families[-1]
            joined = min(shared, common(list(rows[members[-1]]), list(rows[row])))
            saved = (len(members) - 1) * shared
            if joined >= WORTH and len(members) * joined >= saved:
                families[-1] = ([*members, row], joined)
                continue
        families.append(([row], len(rows[row])))
    return families


# --- how rows share passes (D4)


def micro_batches(lengths: Lengths, rows: Sequence[int], *, budget: int) -> Step:
    """The rows in groups of at most budget tokens: longest first, each into the fullest group that holds it (D4).

    Ties by index. No row is split; one above the budget forms its own group.
    """
    groups: list[list[int]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: (-lengths[row], row)):
        fits = [place for place in range(len(groups)) if room[place] >= lengths[row]]
        if fits:
            best = min(fits, key=lambda place: (room[place], place))
            groups[best].append(row)
            room[best] -= lengths[row]
        else:
            groups.append([row])
            room.append(budget - lengths[row])
    return groups


def micro_batches_in_order(lengths: Lengths, *, budget: int) -> Step:
    """All rows in groups of at most budget tokens, neighbours together: for passes whose order means nothing."""
    groups: Step = []
    held = budget
    for row, length in enumerate(lengths):
        if held + length > budget:
            groups.append([])
            held = 0
        groups[-1].append(row)
        held += length
    return groups


def answer_batches(prompts: Sequence[Sequence[int]], lengths: Lengths, rows: Sequence[int], *, budget: int) -> Step:
    """The rows in groups as `micro_batches` makes them, answers to one prompt together: it counts once (D4, D7).

    prompts: the ids that each row answers; lengths: tokens of each answer. What rows are given decides, not their
    order. Answers to one prompt that exceed the budget are divided.
    """
    families: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(rows):
        families.setdefault(tuple(prompts[row]), []).append(row)
    parts: Step = []
    sizes: list[int] = []
    for prompt, members in families.items():
        own = budget - len(prompt) if len(prompt) >= WORTH else 0  # what is not shared stands for itself
        for part in micro_batches(lengths, members, budget=own):
            parts.append(part)
            sizes.append(len(prompt) + sum(lengths[row] for row in part))
    return [
        [row for part in group for row in parts[part]]
        for group in micro_batches(sizes, range(len(parts)), budget=budget)
    ]


def show(run: Run, words: Tokenizer, packed: Packed) -> None:
    """Write first_batch.json: what is trained on, row by row, taken from the tensors (D8)."""
    marks = set(zip(packed.rows.tolist(), packed.at.tolist(), strict=True))
    weights = dict(zip(packed.rows.tolist(), packed.weights.tolist(), strict=True))
    ids, positions = packed.ids.tolist(), packed.positions.tolist()
    found: list[dict[str, Any]] = []  # Any: JSON
    for row, places in enumerate(packed.in_order()):
        tokens = [
            {
                "text": words.token_text(ids[place]),
                "id": ids[place],
                "position": positions[place],
                "segment": row,
                "mask": slot > 0 and (row, places[slot - 1]) in marks,
            }
            for slot, place in enumerate(places)
        ]
        found.append({"weight": weights.get(row, 0.0), "tokens": tokens})
    run.write_json("first_batch.json", {"rows": found})
