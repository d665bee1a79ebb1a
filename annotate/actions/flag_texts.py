"""Run the detectors on a batch, store what they find, and ask people about it. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from django.db import connection, transaction
from django.utils.timezone import now

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.hide import keep_hidden
from annotate.actions.join_groups import join_groups
from annotate.cleaning import duplicates
from annotate.cleaning.detectors import DETECTORS, Detector
from annotate.cleaning.duplicates import Entry, Near, Placed, place
from annotate.cleaning.findings import Finding, Texts
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Band, Batch, Flag, Group, Hot, Project, Queue, Scan, Task, TaskText, Text

_KEYS_AT_ONCE = 900
_ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Run:
    """What one detector said about the batch."""

    detector: str
    version: int
    findings: list[Finding]
    seconds: float
    failure: str = ""


def flag_texts(batch: Batch) -> int:
    """Run the detectors that have no scan of this batch in their present version; how many flags were stored.

    Scans, flags, the index of near duplicates and the tasks commit together. Twice the same call changes nothing.
    """
    texts = list(Text.objects.filter(batch=batch, edited_from=None).order_by("pk").select_related("group"))
    project = batch.imported.source.project
    limits = Thresholds.of(project.settings)
    documents = [text for text in texts if text.kind == Text.Kind.DOCUMENT]
    runs = _detect(documents, limits, done=_done(batch))
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # twins that arrive at once meet here
        done = _done(batch)
        runs = [run for run in runs if (run.detector, run.version) not in done]
        if (duplicates.NAME, duplicates.VERSION) not in done:
            runs.append(_place(texts, documents, project, limits))
        flags = _store(batch, documents, runs)
        keep_hidden(project.pk, [text.pk for text in documents])
        ask_about(documents, project=project, limits=limits)
        Batch.objects.filter(pk=batch.pk, flagged_at=None).update(flagged_at=now())
    return flags


def _done(batch: Batch) -> set[tuple[str, int]]:
    return set(batch.scans.values_list("detector", "version"))


def _detect(documents: Sequence[Text], limits: Thresholds, *, done: set[tuple[str, int]]) -> list[_Run]:
    """A detector that raises marks its scan failed; the others go on."""
    batch = Texts([text.body for text in documents])
    wanted = [detector for detector in DETECTORS if (detector.name, detector.version) not in done]
    return [_detect_one(detector, batch, limits) for detector in wanted]


def _detect_one(detector: Detector, batch: Texts, limits: Thresholds) -> _Run:
    began = perf_counter()
    findings, failure = [], ""
    try:
        findings = list(detector.detect(batch, limits))
    except Exception as error:  # whatever it is, the batch must not hang on one detector: its scan tells the page
        failure = f"{type(error).__name__}: {error}"[:2000]
    return _Run(detector.name, detector.version, findings, perf_counter() - began, failure)


class TableIndex:
    """The index of near duplicates in tables Band and Hot (`cleaning.md` 4.2)."""

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        found: dict[int, list[int]] = {}
        for some in _slices(keys):
            for key, text in Band.objects.filter(key__in=some).values_list("key", "text_id"):
                found.setdefault(key, []).append(text)
        return found

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {
            pk: body for some in _slices(ids) for pk, body in Text.objects.filter(pk__in=some).values_list("pk", "body")
        }

    def take(self, placed: Placed) -> None:
        """Adds the new representatives; counts those that full keys did not take."""
        table = connection.ops.quote_name(Band._meta.db_table)
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {table} (key, text_id) VALUES (%s, %s)", sorted(placed.new))
        counts = dict(placed.hot)
        for some in _slices(sorted(counts)):
            for hot in Hot.objects.filter(key__in=some):
                counts[hot.key] += hot.count
        rows = [Hot(key=key, count=count) for key, count in counts.items()]
        Hot.objects.bulk_create(
            rows, update_conflicts=True, update_fields=["count"], unique_fields=["key"], batch_size=_ROWS_AT_ONCE
        )


def salt(text: Text) -> int:
    """Only texts of one project and kind are compared."""
    return text.project_id * 2 + (text.kind == Text.Kind.DOCUMENT)


def _place(texts: Sequence[Text], documents: Sequence[Text], project: Project, limits: Thresholds) -> _Run:
    """Places documents and first prompts. Prompts get no flag."""
    began = perf_counter()
    placed = place_texts([text for text in texts if text.parent_id is None], limits)
    nth = {text.pk: nth for nth, text in enumerate(documents)}
    findings = [
        near.finding(index=nth[near.text], length=len(documents[nth[near.text]].body))
        for near in placed.near
        if near.text in nth
    ]
    return _Run(duplicates.NAME, duplicates.VERSION, findings, perf_counter() - began)


def place_texts(texts: Sequence[Text], limits: Thresholds) -> Placed:
    """Find the representative of each text; both then share a group. The caller has locked the project."""
    entries = [Entry(id=text.pk, body=text.body, salt=salt(text)) for text in texts]
    index = TableIndex()
    placed = place(entries, index=index, limit=limits.near_duplicate)
    index.take(placed)
    link(placed.near)
    return placed


def link(nears: Sequence[Near]) -> None:
    """Points each text at its representative, and puts both on one side of the split."""
    groups = _groups({near.text for near in nears} | {near.representative for near in nears})
    members = [Text(pk=near.text, cluster_id=near.representative) for near in nears]
    Text.objects.bulk_update(members, ["cluster"], batch_size=_ROWS_AT_ONCE)
    for near in nears:
        one, other = groups[near.representative], groups[near.text]
        if one.pk != other.pk:
            join_groups(one, other)


def _groups(ids: set[int]) -> dict[int, Group]:
    return {
        text.pk: text.group
        for some in _slices(sorted(ids))
        for text in Text.objects.filter(pk__in=some).select_related("group").only("pk", "group")
    }


def _store(batch: Batch, documents: Sequence[Text], runs: Sequence[_Run]) -> int:
    """Flags and scans of these runs."""
    flags = [flag for run in runs for flag in _flags(documents, run.findings)]
    Flag.objects.bulk_create(flags, batch_size=_ROWS_AT_ONCE)
    scans = [
        Scan(
            batch=batch,
            detector=run.detector,
            version=run.version,
            findings=len(run.findings),
            seconds=run.seconds,
            failure=run.failure,
        )
        for run in runs
    ]
    Scan.objects.bulk_create(scans)
    return len(flags)


def _flags(documents: Sequence[Text], findings: Sequence[Finding]) -> list[Flag]:
    """One flag a place and category: the strongest where a detector names one twice."""
    kept: dict[tuple[int, str, int, int], Finding] = {}
    for finding in findings:
        key = (finding.text, finding.category, finding.start, finding.end)
        if key not in kept or kept[key].score < finding.score:
            kept[key] = finding
    return [flag_of(documents[finding.text], finding) for finding in kept.values()]


def flag_of(text: Text, finding: Finding) -> Flag:
    return Flag(
        text=text,
        detector=finding.detector,
        version=finding.version,
        category=finding.category,
        start=finding.start,
        end=finding.end,
        score=finding.score,
        reason=finding.reason[:300],
        evidence=finding.evidence,
    )


def ask_about(documents: Sequence[Text], *, project: Project, limits: Thresholds) -> None:
    """A `clean` task for each document with a flag that calls for review, unless it has one."""
    queue = Queue.objects.filter(project=project, kind=Queue.Kind.CLEAN).order_by("pk").first()
    if queue is None:
        return
    by_id = {text.pk: text for text in documents}
    wanted: dict[int, set[str]] = {}
    for some in _slices(sorted(by_id)):
        for flag in Flag.objects.live().filter(text_id__in=some):
            if limits.calls_for_review(detector=flag.detector, score=flag.score, evidence=flag.evidence):
                wanted.setdefault(flag.text_id, set()).add(flag.detector)
    asked = _asked(queue, sorted(wanted))
    items = [
        TaskItem([(by_id[pk], TaskText.Part.DOCUMENT)], {"detectors": sorted(detectors)})
        for pk, detectors in sorted(wanted.items())
        if pk not in asked
    ]
    build_tasks(queue=queue, items=items)


def _asked(queue: Queue, ids: Sequence[int]) -> set[int]:
    """Which of these texts have a task already."""
    found: set[int] = set()
    for some in _slices(ids):
        rows = TaskText.objects.filter(text_id__in=some, task__queue=queue).exclude(task__state=Task.State.VOID)
        found.update(rows.values_list("text_id", flat=True))
    return found


def _slices(values: Sequence[int]) -> Iterator[Sequence[int]]:
    """values in runs that one statement takes."""
    return (values[start : start + _KEYS_AT_ONCE] for start in range(0, len(values), _KEYS_AT_ONCE))
