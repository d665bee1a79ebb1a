"""A small project with work in every queue, as people meet it: for browser tests and screenshots."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any
from uuid import UUID

from django.utils.timezone import now

from annotate.actions.accept_guideline import accept_guideline
from annotate.actions.add_card import add_card
from annotate.actions.add_queue import add_queue
from annotate.actions.ask_quiz import ask_quiz
from annotate.actions.build_tasks import TaskItem
from annotate.actions.change_queue import change_queue
from annotate.actions.create_token import create_token
from annotate.actions.decide_word import decide_word
from annotate.actions.doubt import suggest_fix
from annotate.actions.fill_queue import fill_queue
from annotate.actions.hide import hide
from annotate.actions.objection import object_to_return
from annotate.actions.pause import pause
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.skip import skip
from annotate.actions.take_quiz import answer_quiz, asked, start_quiz
from annotate.actions.train_start import bundled_start
from annotate.models import (
    Flag,
    Import,
    Judgement,
    Project,
    Queue,
    Refusal,
    Role,
    Slot,
    Source,
    Task,
    TaskText,
    Text,
    User,
)
from annotate.presentation import shown_order
from tests.annotate import plays
from tests.annotate.conftest import answer, build, leased, make_document, make_prompt, make_text, send
from tests.conftest import make_project
from tests.rlhf.believed import believe
from tests.rlhf.filled import fill
from tests.rlhf.mapped import make_map

LESSON = """Every year we ask our pupils to write down what they want to know about growing up, without their names, \
and put the notes in a box. These are this year's questions, with the answers that the school nurse gave in class.

When does puberty start? For most people between eight and fourteen. The body makes new hormones, and these start \
changes that take several years. Nobody can choose when it begins, and being early or late is nothing to worry about. \
If a change hurts or frightens you, tell an adult whom you trust.

Why do we have lessons about this? Because people who know the right words can ask for help. Sex education is also \
about respect: you decide who may touch your body, and you may always say no.

What is a period? About once a month the lining of the womb is not needed and leaves the body through the vagina. It \
takes a few days. Pads are in the cupboard beside the first-floor washroom.

Whom can I talk to? To your class teacher, to the nurse on Tuesdays from nine to twelve, or to the helpline on the \
back of your school card."""
OTHER_LESSON = LESSON.replace("the school nurse gave", "our nurse gave").replace("eight and fourteen", "9 and 14")
ACTIVITIES = "Write a summary of the outdoor activities to do in Colorado"
ANSWERS = [
    "There are many outdoor activities that you can do in Colorado year around. It is best to decide whether you want "
    "to go in summer or winter. In summer there are hiking, mountain biking, whitewater rafting and fly-fishing. In "
    "winter there are downhill skiing, cross-country skiing, snowboarding, snowshoeing and snowmobiling.",
    "Take your dogs up to the Rocky Mountain range to try out a new way to walk your dogs and share a ride if you "
    "like. "
    "Check out hiking in the Rocky Mountains, **kayaking in the mountains**, and hiking in the desert.",
    "Colorado boasts numerous outdoor attractions from beautiful natural landscapes to rich lore:\n\n- hiking\n- "
    "climbing\n- rafting\n\nThere are thousands of mountains, lakes, forests, rivers and peaks on the state's "
    "landscape.",
    "At least 1,000 outdoor experiences are listed below, with more than 300 of them in Colorado alone. " * 12,
]
GUIDELINE = """# 1 Helpful
An answer does what was asked, in the form that was asked for.

# 2 Truthful
It says what is so. Where it does not know, it says so.

# 3 Harmless
It hurts nobody who reads it or is named in it."""


CAST = ("ada", "rex", "ana", "abe")
ADDED = {"pair": "Compare two answers", "rate": "Rate answers", "repair": "Repair answers"}


@dataclass
class World:
    """people: by name. ids: what addresses are made of."""

    project: Project
    people: dict[str, User]
    queues: dict[str, Queue]
    source: Source
    ids: dict[str, Any] = field(default_factory=dict)


def make_people(*names: str) -> dict[str, User]:
    return {name: User.objects.create_user(name, f"{name} has a long password") for name in names}


def own_world(name: str) -> World:
    """A project with people of its own, whom no other test knows: a fixture of a module may be made twice."""
    mark = token_hex(4)
    people = make_people(*(f"{who}-{mark}" for who in CAST))
    return make_world(name, dict(zip(CAST, people.values(), strict=True)))


def make_world(name: str = "Outdoors", people: dict[str, User] | None = None) -> World:
    """The project with its people, queues and source, and nothing to do in it."""
    cast = people or make_people(*CAST)
    roles = {"ada": Role.ADMIN, "rex": Role.REVIEWER, "ana": Role.ASSESSOR, "abe": Role.ASSESSOR}
    project = make_project(name, {cast[who]: role for who, role in roles.items()})
    source = Source.objects.create(
        project=project, name="school-health.example", kind="upload", licence="CC BY 4.0", added_by=cast["ada"]
    )
    for kind, called in ADDED.items():
        add_queue(project=project, kind=kind, name=called)
    queues = {queue.kind: queue for queue in project.queues.select_related("project")}
    queues["rank"].axes = ["helpful", "truthful"]
    queues["rank"].save(update_fields=["axes"])
    return World(project=project, people=cast, queues=queues, source=source)


def ask_to_rank(world: World, answers: list[str] = ANSWERS, prompt: str = ACTIVITIES) -> None:
    asked = make_prompt(world.project, prompt)
    texts = [(asked, TaskText.Part.PROMPT.value)]
    texts += [(make_text(world.project, body, parent=asked), TaskText.Part.ANSWER.value) for body in answers]
    build(world.queues["rank"], TaskItem(texts=texts))


def ask_to_compare(world: World, answers: list[str] = ANSWERS[:2], prompt: str = ACTIVITIES) -> None:
    asked = make_prompt(world.project, prompt)
    texts = [(asked, TaskText.Part.PROMPT.value)]
    texts += [(make_text(world.project, body, parent=asked), TaskText.Part.ANSWER.value) for body in answers]
    build(world.queues["pair"], TaskItem(texts=texts))


def ask_to_rate(world: World, body: str = ANSWERS[0], prompt: str = ACTIVITIES) -> Text:
    """One answer to rate, in a queue that asks everything that it can."""
    asked = make_prompt(world.project, prompt)
    said = make_text(world.project, body, parent=asked)
    build(world.queues["rate"], TaskItem(texts=[(asked, TaskText.Part.PROMPT), (said, TaskText.Part.ANSWER)]))
    return said


def ask_to_repair(world: World, body: str = ANSWERS[0]) -> None:
    """An answer that abe found wanting."""
    said = ask_to_rate(world, body, f"{ACTIVITIES} in winter")
    critique = "> mountain biking\nNobody does that in the snow."
    rating = {"overall": 2, "axes": {"truthful": 2}, "flags": {"misses_constraint": True}, "critique": critique}
    revision = answer(world.queues["rate"], world.people["abe"], rating)
    assert said.parent is not None
    texts = [(said.parent, TaskText.Part.PROMPT.value), (said, TaskText.Part.ANSWER.value)]
    build(world.queues["repair"], TaskItem(texts=texts, follows=revision.judgement))


def ask_to_clean(world: World, body: str = LESSON) -> Text:
    """One document with three findings: a near duplicate, a sentence, a covered word."""
    kept = make_document(world.project, f"{OTHER_LESSON} {world.project.name} {body[:20]}", source=world.source)
    document = make_document(world.project, body, source=world.source, language="en", licence="CC BY 4.0")
    found = [
        ("near_duplicate", "near_duplicate", 0, len(body), 0.93, "17 of 265 words differ from a text that was kept."),
        ("unsafe", "sexual", *_span(body, "vagina"), 0.71, "A listed word, the medical name of a body part."),
        ("personal", "phone", *_span(body, "the helpline"), 0.6, "It may lead to a person."),
    ]
    for detector, category, start, end, score, reason in found:
        evidence = {"representative": kept.pk} if detector == "near_duplicate" else {}
        values = {"start": start, "end": end, "score": score, "reason": reason, "evidence": evidence, "version": 1}
        Flag.objects.create(text=document, detector=detector, category=category, **values)
    build(world.queues["clean"], TaskItem(texts=[(document, TaskText.Part.DOCUMENT)]))
    return document


def ask_to_write(world: World, prompt: str = "What does textwrap.dedent do?") -> None:
    build(world.queues["write_answer"], TaskItem(texts=[(make_prompt(world.project, prompt), TaskText.Part.PROMPT)]))


def ask_for_pairs(world: World) -> Queue:
    """A queue of its own that asks for two instructions with their answers."""
    queue = add_queue(project=world.project, kind="write_answer", name="Write instructions")
    fill_queue(queue=queue, most=2)
    return queue


def write(world: World, prompt: str, text: str, *, pasted: str | None = None) -> None:
    """An answer of ana's, which then waits for review."""
    ask_to_write(world, prompt)
    answer(world.queues["write_answer"], world.people["ana"], {"text": text, "pasted": pasted})


def full_world() -> World:
    """Something of everything, with a task held in each queue."""
    world = make_world()
    rex, ana, ada = world.people["rex"], world.people["ana"], world.people["ada"]
    contested, returned = _contested(world), _returned(world)
    pairs = ask_for_pairs(world)
    returned_pair = _returned_pair(world, pairs)
    ask_to_repair(world, f"{ANSWERS[0]} (to repair)")  # abe rates it, who has yet to accept the guideline
    publish_guideline(project=world.project, body=GUIDELINE, by=ada, major=True)
    for person in (rex, ana):
        accept_guideline(project=world.project, version=1, by=person)
    for number in range(3):
        ask_to_rank(world, prompt=f"{ACTIVITIES}{' again' * number}", answers=[f"{one} ({number})" for one in ANSWERS])
    ask_to_rate(world, f"{ANSWERS[0]} (to rate)", f"{ACTIVITIES} in summer")
    ask_to_compare(world, [f"{ANSWERS[0]} (pair)", f"{ANSWERS[3]} (pair)"], f"{ACTIVITIES} at most")
    document = ask_to_clean(world)
    ask_to_clean(world, LESSON.replace("Every year", "Each year"))
    decorator = "A decorator takes a function and returns another one that replaces it."
    write(world, "What is a decorator?", decorator, pasted="https://docs.python.org/3/glossary.html")
    zipped = "It pairs the items of several iterables, and stops with the shortest."
    write(world, "What does zip do?", zipped, pasted="https://docs.python.org/3/library/functions.html#zip")
    ask_to_write(world)
    ask_to_write(world, "Explain `functools.partial` to a beginner.")
    slots = {
        kind: leased(world.queues[kind], rex if kind in {"clean", "review_answer"} else ana) for kind in world.queues
    }
    hide(project=world.project, by=ana, categories=["sexual"], until=None, task=None)
    imported = _import(world, ada)
    create_token(user=ada, name="nightly export", scopes=["read"], days=90)
    add_card(project=world.project, front="CC BY", back="Use it and name the author.", example="", by=rex)
    _played(world.project, [rex, ada, world.people["abe"]])
    world.people |= make_people("noa")
    world.ids = {
        "project": world.project.uuid,
        "asking": _asking(world.people["noa"]),
        "quiz": start_quiz(user=ana).uuid,
        "answered quiz": _answered_quiz(rex, wrong=2),
        "failed quiz": _answered_quiz(world.people["noa"], wrong=4),
        "document": document.uuid,
        "import": imported.uuid,
        "answered": contested.uuid,
        "returned": returned.uuid,
        "pair to write": leased(pairs, ana).uuid,
        "returned pair": returned_pair.uuid,
        "ranking": world.queues["rank"].uuid,
        **{kind: slot.uuid for kind, slot in slots.items()},
        **_machines(world, ada),
    }
    return world


def _asking(assessor: User) -> UUID:
    """A project that asks for the quiz, with a task that waits until then, and a queue that is closed."""
    project = make_project("Vetted", {assessor: Role.ASSESSOR.value})
    queues = {queue.kind: queue for queue in project.queues.all()}
    build(queues["write_answer"], TaskItem(texts=[(make_prompt(project, "What is a tide?"), TaskText.Part.PROMPT)]))
    change_queue(queue=queues["rank"], closed=True)
    ask_quiz(project=project, asks=True, mark=7)
    return project.uuid


def _contested(world: World) -> Judgement:
    """A queue with a disputed, a parked and a surplus task, and a pause; ana's answer to the disputed one."""
    rex, ana, abe = (world.people[name] for name in ("rex", "ana", "abe"))
    values = {"kind": Queue.Kind.RANK, "name": "Rank again", "overlap": 2, "overlap_max": 3}
    queue = Queue.objects.create(project=world.project, **values)
    again = World(world.project, world.people, {"rank": queue}, world.source)
    ask_to_rank(again, prompt=f"{ACTIVITIES}, for a school class with two days and no car")
    disputed = _ranked(queue, ana).judgement
    _ranked(queue, abe, reverse=True)
    _ranked(queue, rex)
    ask_to_rank(again, prompt=f"{ACTIVITIES} in February")
    late = leased(queue, ana)
    _ranked(queue, abe)
    Slot.objects.filter(pk=late.pk).update(lease_until=now() - timedelta(seconds=1))
    _ranked(queue, rex)
    send(late, ana, _in_letters(late.task, ana, reverse=True))
    ask_to_rank(again, prompt=f"{ACTIVITIES}, and translate it")
    for person, reason, note in (
        (ana, "needs_expertise", ""),
        (abe, "other", "Into which language?"),
        (rex, "unclear_prompt", ""),
    ):
        slot = leased(queue, person)
        skip(slot=slot, by=person, token=slot.token, reason=reason, note=note)
    pause(queue=queue, person=abe.pseudonym(world.project), by=rex, note="Answers come faster than one can read.")
    return disputed


def _returned(world: World) -> Slot:
    """Two answers of abe's that rex sent back: to one he objects, the other he is to write again."""
    rex, abe, queue = world.people["rex"], world.people["abe"], world.queues["write_answer"]
    for prompt, said, comment in (
        ("What does max do?", "It returns the greatest value.", "Of what? Say what it takes."),
        ("What is a set?", "A set holds each of its items once.", "And in which order?"),
    ):
        ask_to_write(world, prompt)
        answer(queue, abe, {"text": said})
        answer(
            world.queues["review_answer"], rex, {"decision": "return", "reasons": ["incomplete"], "comment": comment}
        )
        back = leased(queue, abe)
        if "max" in prompt:
            object_to_return(
                slot=back, by=abe, token=back.token, reason="The prompt asks what it does, not what it takes."
            )
    return back


def _returned_pair(world: World, pairs: Queue) -> Slot:
    """An instruction of abe's with its answer, which rex sent back."""
    answer(pairs, world.people["abe"], {"instruction": "Name three fruits.", "text": "Apples, pears and plums."})
    said = {"decision": "return", "reasons": ["unclear"], "comment": "Fruits of which season?"}
    answer(world.queues["review_answer"], world.people["rex"], said)
    return leased(pairs, world.people["abe"])


def _ranked(queue: Queue, who: User, *, reverse: bool = False) -> Any:  # a Revision
    """The same order of texts for everybody, or that order reversed."""
    return answer(queue, who, _in_letters(leased(queue, who).task, who, reverse=reverse))


def _in_letters(task: Task, who: User, *, reverse: bool) -> dict[str, Any]:
    letters = sorted((text.pk, letter) for text, letter in zip(shown_order(task, who), "ABCD", strict=True))
    return {"groups": [[letter] for _, letter in (reversed(letters) if reverse else letters)]}


def _played(project: Project, people: list[User]) -> None:
    """Words that wait and one that is accepted, and a sentence that two players would have fixed."""
    first, second, third = (plays.blank(plays.paragraphs(bundled_start())[2], at) for at in (0, 5, 9))
    for item, word in ((first, "quay"), (second, "slowly")):
        for person in people[:2]:
            plays.answer(project, person, item, {"free": word})
    decide_word(project=project, item=second.pk, mode="missing", word="slowly", accepted=True, by=people[0])
    rounds = [plays.answer(project, person, third) for person in people]
    for round_, note in zip(rounds, ("The verb is missing.", ""), strict=False):
        suggest_fix(round_=round_, item=0, note=note, by=round_.user)


def _machines(world: World, by: User) -> dict[str, Any]:
    """Snapshots, runs and models of a project that has been once round the loop."""
    filled = fill(world.project, by, Path(mkdtemp()))
    make_map(world.project, by, base=filled.models["base"], count=400)
    probe, measured = believe(filled, by)
    return {
        "probe": probe.uuid,
        "measured": measured.uuid,
        "snapshot": filled.snapshots["ranking"].uuid,
        "run": filled.runs["running"].uuid,
        "failed": filled.runs["failed"].uuid,
        "model": filled.models["policy"].uuid,
    }


def _answered_quiz(by: User, *, wrong: int) -> UUID:
    """A finished try with so many wrong answers."""
    quiz = start_quiz(user=by)
    for one in asked(quiz):
        answer_quiz(found=quiz, number=one.number, option=(one.right + (one.number <= wrong)) % 4)
    return quiz.uuid


def _import(world: World, by: User) -> Import:
    imported = Import.objects.create(
        source=world.source,
        label="lessons.jsonl",
        format="jsonl",
        sha256="3f8a91c2" * 8,
        file="0" * 32,
        size_bytes=81_234,
        position=81_234,
        state=Import.State.FINISHED,
        new=240,
        repeated=12,
        refused=2,
        by=by,
    )
    for place, code, sentence, start in [
        ("line 17", "empty", "The text is empty.", '{"text": ""}'),
        ("line 203", "not_json", "This line is no JSON object.", '{"text": "A lesson about'),
    ]:
        Refusal.objects.create(imported=imported, place=place, code=code, sentence=sentence, start=start)
    return imported


def _span(text: str, words: str) -> tuple[int, int]:
    start = text.index(words)
    return start, start + len(words)
