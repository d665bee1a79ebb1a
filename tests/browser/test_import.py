"""The report of an import, while one looks."""

from playwright.sync_api import expect

from annotate.models import Import


def reading(world) -> Import:
    return Import.objects.create(
        source=world.source,
        label="lessons.jsonl",
        format="jsonl",
        sha256="0" * 64,
        file="0" * 32,
        size_bytes=1_000,
        position=250,
        by=world.people["ada"],
    )


def test_an_import_that_ends_says_so_without_a_reload(world, site):
    imported = reading(world)
    page = site.visit(world.people["ada"], f"/imports/{imported.uuid}/")
    expect(page.get_by_text("250 of 1,000 bytes · 25 %")).to_be_visible()
    Import.objects.filter(pk=imported.pk).update(state="finished", position=1_000, new=7)
    expect(page.get_by_text("finished")).to_be_visible()
    expect(page.get_by_text("No row was refused.")).to_be_visible()


def test_an_import_that_no_worker_has_taken_says_what_it_waits_for(world, site):
    page = site.visit(world.people["ada"], f"/imports/{reading(world).uuid}/")
    expect(page.get_by_text("It waits for a worker of the queue “default”.")).to_be_visible()
