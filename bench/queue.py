"""What the task queue carries: people at work against the running service, on SQLite and PostgreSQL.

    python bench/queue.py [--quick] [--million] [--databases sqlite,postgresql] [--people 1,8,32,64] [--seconds 10]

Each person holds one connection and answers rankings of four without a pause: one request an answer, whose reply
carries the next task. The load comes from one more process on the same machine. PostgreSQL commits durably.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
import uuid  # noqa: E402
from collections import Counter  # noqa: E402
from collections.abc import Callable, Coroutine, Iterator, Mapping  # noqa: E402
from contextlib import contextmanager, suppress  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from tempfile import mkdtemp  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from annotate.models import Project, Queue

OVERLAP = 3
PROMPTS = 2_000  # each with four answers; tasks share them
PACED, PACE_S = 200, 5.0
ANSWER = "It returns the least of its arguments. With a key, it compares what the key makes of each of them instead."
BODY = {"groups": [["B"], ["A", "C"], ["D"]], "acceptable_groups": 2, "ratings": {"A": {"helpful": 5}}}
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %(tasks)s)"
RANDOM = {
    "sqlite": {"uuid": "lower(hex(randomblob(16)))", "key": "random() & 9223372036854775807"},
    "postgresql": {"uuid": "gen_random_uuid()", "key": "(random() * 9e18)::bigint"},
}
TASKS = """
INSERT INTO annotate_task (uuid, queue_id, state, random_key, selection)
SELECT {uuid}, %(queue)s, 'held', {key}, '{{}}' FROM n
"""
TEXTS = """
INSERT INTO annotate_tasktext (task_id, text_id, part, position)
SELECT t.id, %(prompt)s + t.id %% %(prompts)s, 'prompt', 0 FROM annotate_task t WHERE t.queue_id = %(queue)s
UNION ALL
SELECT t.id, %(answer)s + 4 * (t.id %% %(prompts)s) + k.i, 'answer', 1 + k.i
FROM annotate_task t CROSS JOIN (SELECT 0 AS i UNION SELECT 1 UNION SELECT 2 UNION SELECT 3) k
WHERE t.queue_id = %(queue)s
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--people", default="1,8,32,64")
    parser.add_argument("--tasks", default="1000,100000")
    parser.add_argument("--seconds", type=float, default=10.0, help="of answering, a row")
    parser.add_argument("--million", action="store_true", help="one row more: 32 people, a million tasks")
    parser.add_argument("--quick", action="store_true", help="8 and 32 people, 3 s, 1 and 20 thousand tasks")
    parser.add_argument("--on", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        given.people, given.tasks, given.seconds = "8,32", "1000,20000", 3.0
    if given.on:
        Bench(given).run()
        return
    for database in given.databases.split(","):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--on", database], check=True)


# The service and its rows


@contextmanager
def place(database: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A home for the service, and the environment in which it finds its database. Both go."""
    home = Path(mkdtemp(prefix="bench-", dir="/tmp"))
    try:
        common = {
            "APP_ENV": "dev", "TOUCHSTONE_HOME": str(home), "DJANGO_SETTINGS_MODULE": "bench.served",
            "REDIS_URL": "redis://127.0.0.1:1/0", "RATE_CLAIMS": "0", "RATE_SUBMITS": "0",
        }  # fmt: skip
        if database == "sqlite":
            yield home, common
            return
        from tests import postgres

        durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "shared_buffers": "256MB"}
        with postgres.server(**durable) as socket:
            quoted = str(socket).replace("/", "%2F")
            yield home, common | {"DATABASE_URL": f"postgresql://touchstone@{quoted}:{postgres.PORT}/postgres"}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make_people(project: Project, count: int) -> list[str]:
    """Assessors, each with a token; the tokens."""
    from annotate.actions.create_token import create_token
    from annotate.models import Membership, Token, User

    users = User.objects.bulk_create(User(name=f"p{number}", password="", scripted=True) for number in range(count))
    Membership.objects.bulk_create(Membership(project=project, user=user, role="assessor") for user in users)
    return [create_token(user=user, name="bench", scopes=Token.Scope.values, days=1)[1] for user in users]


def make_texts(project: Project) -> dict[str, int]:
    """Prompts and their answers; the first keys of both."""
    from hashlib import sha256

    from annotate.models import Group, Text

    group = Group.objects.create(project=project, first_sha256="0" * 64, split="train")

    def text(body: str, kind: str, parent: Text | None = None) -> Text:
        digest = sha256(body.encode()).hexdigest()
        return Text(project=project, group=group, kind=kind, body=body, sha256=digest, origin="model", parent=parent)

    prompts = Text.objects.bulk_create(text(f"What does function {n} do?", "prompt") for n in range(PROMPTS))
    answers = [text(f"Answer {k} of {n}. {ANSWER}", "answer", prompts[n]) for n in range(PROMPTS) for k in range(4)]
    Text.objects.bulk_create(answers, batch_size=1_000)
    return {"prompt": prompts[0].pk, "answer": answers[0].pk, "prompts": PROMPTS}


def make_queue(project: Project, texts: Mapping[str, int], *, tasks: int) -> Queue:
    """A queue of so many held tasks."""
    from django.db import connection

    from annotate.models import Queue

    name = f"{tasks} tasks, {uuid.uuid4().hex[:6]}"
    queue = Queue.objects.create(project=project, kind="rank", name=name, overlap=OVERLAP, axes=["helpful"])
    values = {"queue": queue.pk, "tasks": tasks, **texts}
    insert = TASKS.format(**RANDOM[connection.vendor]).strip()
    head, _, rest = insert.partition("\n")
    with connection.cursor() as cursor:
        cursor.execute(f"{head} {NUMBERS} {rest}", values)
        cursor.execute(TEXTS, values)
        cursor.execute("ANALYZE")
    return queue


# The load


@dataclass
class Tally:
    """What people saw. held: slot → who has it, to find what two hold at once."""

    submit_ms: list[float] = field(default_factory=list)
    next_ms: list[float] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def handed(self, slot: str, person: int) -> None:
        self.duplicates += self.held.get(slot, person) != person
        self.held[slot] = person


class Person:
    """One person with a token, over one connection that is opened anew where the server closed it."""

    def __init__(self, number: int, token: str, port: int, tally: Tally) -> None:
        self.number, self.tally = number, tally
        self._port = port
        self._head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, *, key: str = "") -> Any:  # JSON
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n"
        head += f"Idempotency-Key: {key}\r\n\r\n" if key else "\r\n"
        for attempt in range(2):
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            try:
                writer.write(head.encode() + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)  # none: 204
                content = await reader.readexactly(length)
                break
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                if attempt:
                    raise
        if not answer.startswith(b"HTTP/1.1 2"):
            self.tally.errors[f"{answer[9:12].decode()} {content[:80]!r}"] += 1
            return None
        return json.loads(content) if content else None

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def claim(self, queue: str) -> Any:  # JSON
        begun = time.perf_counter()
        found = await self.post(f"/api/v1/queues/{queue}/claim", b"{}")
        self.tally.next_ms.append((time.perf_counter() - begun) * 1_000)
        return self._took(found)

    async def submit(self, task: Any) -> Any:  # JSON
        sent = {"token": task["token"], "body": BODY, "times": {"active_ms": 5_000, "hidden_ms": 0, "by": "api"}}
        body, key = json.dumps(sent).encode(), uuid.uuid4().hex
        self.tally.held.pop(task["slot"], None)
        begun = time.perf_counter()
        found = await self.post(f"/api/v1/slots/{task['slot']}/submit", body, key=key)
        self.tally.submit_ms.append((time.perf_counter() - begun) * 1_000)
        if found is None:
            return None
        self.tally.answers.append(found["judgement"])
        return self._took(found["next"])

    async def release(self, task: Any) -> None:
        self.tally.held.pop(task["slot"], None)
        await self.post(f"/api/v1/slots/{task['slot']}/release", json.dumps({"token": task["token"]}).encode())

    def _took(self, found: Any) -> Any:
        task = found["task"] if found else None
        if task:
            self.tally.handed(task["slot"], self.number)
        return task


async def answer_all(person: Person, queue: str, until: float) -> None:
    task = await person.claim(queue)
    while task and time.perf_counter() < until:
        task = await person.submit(task)
    if task:
        await person.release(task)


async def claim_all(person: Person, queue: str, until: float) -> None:
    while time.perf_counter() < until:
        task = await person.claim(queue)
        if task is None:
            return
        await person.release(task)


async def answer_in_pace(person: Person, queue: str, until: float) -> None:
    """One action each 5 seconds, over a connection of its own: the server closes what idles."""
    await asyncio.sleep(random.uniform(0, PACE_S))
    task = await person.claim(queue)
    while task and time.perf_counter() + PACE_S < until:
        person.close()
        await asyncio.sleep(random.uniform(0.8, 1.2) * PACE_S)
        task = await person.submit(task)
    person.close()


async def ask_bare(person: Person, _: str, until: float) -> None:
    while time.perf_counter() < until:
        await person.post("/bench/bare", b"{}")
        person.tally.submit_ms.append(0.0)


Work = Callable[[Person, str, float], Coroutine[Any, Any, None]]


def all_at(work: Work, tokens: list[str], *, queue: Queue, port: int, seconds: float) -> tuple[Tally, float]:
    """Everybody at this work at once; what they saw, and how many seconds it took."""
    tally = Tally()

    async def together() -> None:
        people = [Person(number, token, port, tally) for number, token in enumerate(tokens)]
        until = time.perf_counter() + seconds
        await asyncio.gather(*(work(person, str(queue.uuid), until) for person in people))
        for person in people:
            person.close()

    begun = time.perf_counter()
    asyncio.run(together())
    return tally, time.perf_counter() - begun


# The table


class Bench:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.p50: dict[tuple[int, int], float] = {}

    def run(self) -> None:
        with place(self.given.on) as (home, environment):
            os.environ |= environment
            import django

            django.setup()
            from rlhf.service import Service

            with Service(home=home, environment=environment, processes=("web",)) as service:
                self.session = service.process("web").pid
                self.measure(service.port)

    def measure(self, port: int) -> None:
        from annotate.models import Project

        self.port = port
        project = Project.objects.create(name="bench")
        self.tokens = make_people(project, PACED)
        texts = make_texts(project)
        sizes, people = [list(map(int, text.split(","))) for text in (self.given.tasks, self.given.people)]
        print(f"\n{self.given.on}: answers a second; ms of an answer with its next task, and of a claim")
        print(
            "  tasks people | answers/s bare/s share | CPU ms | answer p50   95   99 |  claim p50   95   99 | dup. err."
        )
        for tasks in sizes:
            for count in people:
                self.row(make_queue(project, texts, tasks=tasks), tasks, count)
        if self.given.million:
            sizes.append(1_000_000)
            self.row(make_queue(project, texts, tasks=1_000_000), 1_000_000, 32)
        self.growth(sizes, people)
        self.paced(make_queue(project, texts, tasks=min(100_000, sizes[-1])))

    def row(self, queue: Queue, tasks: int, count: int) -> None:
        tokens, given = self.tokens[:count], {"queue": queue, "port": self.port}
        bare, bare_s = all_at(ask_bare, tokens, seconds=self.given.seconds / 4, **given)
        before = cpu_s(self.session)
        tally, seconds = all_at(answer_all, tokens, seconds=self.given.seconds, **given)
        spent_ms = (cpu_s(self.session) - before) * 1_000 / max(1, len(tally.answers))
        claims, _ = all_at(claim_all, tokens, seconds=self.given.seconds / 4, **given)
        rate, bare_rate = len(tally.answers) / seconds, len(bare.submit_ms) / bare_s
        self.p50[tasks, count] = quantile(tally.submit_ms, 0.5)
        errors = tally.errors + claims.errors + bare.errors
        wrongs = tally.duplicates + claims.duplicates + wrong(queue, tally)
        print(
            f"{tasks:>7,} {count:>6} | {rate:>9.0f} {bare_rate:>6.0f} {rate / bare_rate:>5.0%} | {spent_ms:>6.1f} "
            f"| {shown(tally.submit_ms)} | {shown(claims.next_ms or tally.next_ms)} | {wrongs:>4} {errors.total():>4}",
            flush=True,
        )
        for error, times in errors.most_common(3):
            print(f"        {times} x {error}")

    def growth(self, sizes: list[int], people: list[int]) -> None:
        count = 32 if 32 in people else people[-1]
        first, last = self.p50[sizes[0], count], self.p50[sizes[-1], count]
        print(f"\ngrowth of an answer's p50, {sizes[0]:,} to {sizes[-1]:,} tasks, {count} people: {last / first:.2f}")

    def paced(self, queue: Queue) -> None:
        seconds = 3 * PACE_S + self.given.seconds
        tally, _ = all_at(answer_in_pace, self.tokens, queue=queue, port=self.port, seconds=seconds)
        wrongs = wrong(queue, tally) + tally.duplicates
        print(
            f"{PACED} people, an action each {PACE_S:.0f} s: {len(tally.answers)} answers {shown(tally.submit_ms)}, "
            f"claims {shown(tally.next_ms)} | {wrongs} duplicates, {tally.errors.total()} errors"
        )


def wrong(queue: Queue, tally: Tally) -> int:
    """Answers that were acknowledged and are not stored exactly once, and tasks with more answers than asked for."""
    from django.db.models import Count

    from annotate.models import Judgement, Revision

    stored = Counter(str(one) for one in Judgement.objects.filter(task__queue=queue).values_list("uuid", flat=True))
    once = sum(stored[answer] != 1 for answer in tally.answers) + abs(stored.total() - len(tally.answers))
    revisions = Revision.objects.filter(judgement__task__queue=queue).count()
    full = queue.tasks.annotate(n=Count("judgements")).filter(n__gt=OVERLAP).count()
    return once + abs(revisions - len(tally.answers)) + full


def cpu_s(session: int) -> float:
    """Seconds of a core that the web server and the PostgreSQL of this bench have used so far. Linux only."""
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = file.read_text().partition("(")[2].rpartition(")")
            fields = rest.split()
            own = int(fields[3]) == session or (name == "postgres" and int(fields[3]) == os.getsid(0))
            ticks += own * (int(fields[11]) + int(fields[12]))
    return ticks / os.sysconf("SC_CLK_TCK")


def shown(values: list[float]) -> str:
    return " ".join(f"{quantile(values, share):>6.1f}" for share in (0.5, 0.95, 0.99)).rjust(23)


def quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


if __name__ == "__main__":
    main()
