"""Stored templates: versions that mean one text for ever, and jobs that pin them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ekiden.config import load
from ekiden.control.service import Control
from ekiden.control.template_requests import (
    AddTemplate,
    ListTemplates,
    RemoveTemplate,
    ShowTemplate,
)
from ekiden.errors import NotFoundError, RefusedError
from ekiden.message.content import decode
from ekiden.queue.queue import Queue
from ekiden.spool.house import House
from ekiden.spool.intake import Intake, IntakeOptions
from ekiden.spool.jobspec import OnMissing
from ekiden.spool.layout import Folder, Spool
from ekiden.store.database import Database
from ekiden.templates.library import Library
from ekiden.templates.model import (
    Reference,
    StoredTemplate,
    TemplateText,
    checked,
    parse_reference,
)
from spool_world import NOW, answer, drop, the_job

WELCOME = TemplateText(subject="Hello {{ name }}", html="<p>{{ name }}</p>")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def library(database: Database) -> Library:
    return Library(database)


async def add(library: Library, text: TemplateText = WELCOME, name: str = "welcome") -> int:
    return (await library.add(name, text, at=NOW)).version


async def test_a_version_is_written_once(library: Library) -> None:
    assert await add(library) == 1
    assert await add(library) == 1, "the same text makes no new version"
    changed = TemplateText(subject="Hi {{ name }}", html="<p>{{ name }}</p>")
    assert await add(library, changed) == 2
    assert await add(library) == 3, "what an older one said does"
    assert (await library.find(Reference("welcome"))).facts.version == 3
    assert (await library.find(Reference("welcome", 2))).text == changed
    assert [one.version for one in await library.versions("welcome")] == [3, 2, 1]
    other = await library.add("welcome", WELCOME, at=NOW, configuration_set="news")
    assert other.version == 4, "another set is another version"
    (newest,) = await library.names()
    assert (newest.reference, newest.versions) == ("welcome@4", 4)


async def test_the_number_of_a_removed_version_is_not_used_again(library: Library) -> None:
    await add(library)
    await add(library, TemplateText(subject="2", text="t"))
    assert await library.remove(Reference("welcome", 2), at=NOW) == 1
    assert (await library.find(Reference("welcome"))).facts.version == 1
    with pytest.raises(NotFoundError, match="version 2"):
        await library.find(Reference("welcome", 2))
    assert await add(library, TemplateText(subject="3", text="t")) == 3
    assert await library.remove(Reference("welcome"), at=NOW) == 2
    with pytest.raises(NotFoundError):
        await library.versions("welcome")
    with pytest.raises(NotFoundError):
        await library.remove(Reference("welcome"), at=NOW)
    assert await add(library) == 4


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TemplateText(html="<p>x</p>"), "no subject"),
        (TemplateText(subject="x"), "no content"),
        (TemplateText(subject="x", html="{{ a.__class__ }}"), "reserved"),
        (TemplateText(subject="a\nb", text="x"), "line break"),
        (TemplateText(subject="x", text="{% for %}"), "cannot be read"),
        (TemplateText(subject="x", text="x", headers=(("From", "y"),)), "written by the engine"),
        (TemplateText(subject="x", text="x" * 600_000), "at most"),
    ],
)
async def test_a_template_that_no_job_could_use_is_refused(
    library: Library, text: TemplateText, what: str
) -> None:
    with pytest.raises(RefusedError, match=what):
        await add(library, text)
    assert await library.names() == []


@pytest.mark.parametrize("name", ["", "a@1", "a b", "-a", "a/b", "x" * 101, "a\n", "あ"])
async def test_names_are_plain(library: Library, name: str) -> None:
    with pytest.raises(RefusedError, match="no name"):
        await add(library, name=name)


def test_references() -> None:
    assert parse_reference("welcome") == Reference("welcome")
    assert parse_reference("welcome@12") == Reference("welcome", 12)
    for wrong in ("", "@1", "a@", "a@0", "a@x", "a@-1", "a@1@2", "a@1\n"):
        with pytest.raises(RefusedError):
            parse_reference(wrong)


async def test_the_control_answers(database: Database) -> None:
    control = Control.over(database)
    facts = await control.ask(AddTemplate(name="welcome", text=WELCOME, note="first"))
    assert (facts.reference, facts.note) == ("welcome@1", "first")
    assert (await control.ask(ShowTemplate(reference="welcome@1"))).text == WELCOME
    assert [one.name for one in await control.ask(ListTemplates())] == ["welcome"]
    assert await control.ask(RemoveTemplate(reference="welcome")) == 1


# --- Jobs ----------------------------------------------------------------------------------------


class World:
    """A spool and a queue whose intake knows the library."""

    def __init__(self, spool: Spool, database: Database, options: IntakeOptions) -> None:
        self.spool = spool
        self.queue = Queue(database)
        self.library = Library(database)
        self.options = options

    async def find(self, reference: str) -> StoredTemplate:
        return await self.library.find(parse_reference(reference))

    async def take(self) -> None:
        await Intake(
            self.spool, self.queue, self.options, House(find=self.find), clock=lambda: NOW
        ).take_all()

    async def content(self) -> object:
        return decode(await self.queue.content((await the_job(self.queue)).id))


@pytest.fixture
def world(tmp_path: Path, database: Database) -> World:
    return World(Spool.open(tmp_path / "spool"), database, IntakeOptions(rest=0.0))


def job(**more: object) -> str:
    given = {
        "from": "a@example.com",
        "template": "welcome",
        "recipients": [{"address": "b@example.com", "name": "B"}],
    }
    return json.dumps({**given, **more})


async def test_a_job_pins_the_version_it_was_taken_with(world: World) -> None:
    await add(world.library)
    drop(world.spool, "news.json", job())
    await world.take()
    await add(world.library, TemplateText(subject="later", text="later"))
    await world.library.remove(Reference("welcome"), at=NOW)
    facts = await the_job(world.queue)
    assert facts.template == "welcome@1"
    content = decode(await world.queue.content(facts.id))
    assert (content.subject, content.html) == ("Hello {{ name }}", "<p>{{ name }}</p>")


async def test_a_job_may_name_an_old_version(world: World) -> None:
    await add(world.library)
    await add(world.library, TemplateText(subject="2", text="two"))
    drop(world.spool, "news.json", job(template="welcome@1"))
    await world.take()
    assert (await the_job(world.queue)).template == "welcome@1"


async def test_the_same_job_after_a_crash_is_one_job_whatever_was_stored_meanwhile(
    world: World,
) -> None:
    await add(world.library)
    drop(world.spool, "news.json", job())
    await world.take()
    # The crash fell between accepting the job and moving its file.
    (world.spool.path / "done" / "news.json").rename(world.spool.path / "cur" / "news.json")
    await add(world.library, TemplateText(subject="2", text="two"))
    await world.take()
    assert (await the_job(world.queue)).template == "welcome@1"


async def test_the_job_wins_over_its_template(world: World) -> None:
    text = TemplateText(
        subject="s",
        text="{{ city }}",
        preheader="p",
        headers=(("X-A", "template"), ("X-B", "template")),
        on_missing="default",
        defaults={"city": "Kyoto", "name": "reader"},
        language="ja",
        inline_css=True,
    )
    await world.library.add("welcome", text, at=NOW, configuration_set="news")
    changes = {
        "subject": "own",
        "headers": {"x-a": "job"},
        "defaults": {"city": "Nara"},
        "configuration_set": "other",
    }
    drop(world.spool, "news.json", job(**changes))
    await world.take()
    facts = await the_job(world.queue)
    content = decode(await world.queue.content(facts.id))
    assert facts.configuration_set == "other"
    assert (content.subject, content.preheader, content.language) == ("own", "p", "ja")
    assert content.headers == (("x-a", "job"), ("X-B", "template"))
    assert content.on_missing == "default"
    assert content.defaults == {"city": "Nara", "name": "reader"}


async def test_a_template_brings_its_configuration_set(world: World) -> None:
    await world.library.add("welcome", WELCOME, at=NOW, configuration_set="news")
    drop(world.spool, "news.json", job())
    await world.take()
    assert (await the_job(world.queue)).configuration_set == "news"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"template": "nobody"}, "there is no template 'nobody'"),
        ({"template": "welcome@7"}, "version 7"),
        ({"template": "a b"}, "names no template"),
        ({"text": "mine"}, "only one of them"),
    ],
)
async def test_what_is_wrong_with_a_reference_is_told(
    world: World, changes: dict[str, object], what: str
) -> None:
    await add(world.library)
    drop(world.spool, "news.json", job(**changes))
    await world.take()
    assert what in answer(world.spool, "news.error.txt", Folder.FAILED)
    assert await world.queue.jobs() == []


async def test_a_missing_field_refuses_its_row(world: World) -> None:
    await add(world.library)
    people = [{"address": "b@example.com", "name": "B"}, {"address": "c@example.com"}]
    drop(world.spool, "news.json", job(recipients=people))
    await world.take()
    (refused,) = answer(world.spool, "news.report.jsonl")
    assert refused["row"] == 2
    assert "`name` is missing" in refused["reason"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((OnMissing.REFUSE, None, None), "refuse"),
        ((OnMissing.EMPTY, None, None), "empty"),
        ((OnMissing.EMPTY, "refuse", None), "refuse"),
        ((OnMissing.EMPTY, "refuse", "default"), "default"),
        ((OnMissing.DEFAULT, None, "refuse"), "refuse"),
    ],
)
async def test_on_missing_from_the_configuration_the_template_and_the_job(
    tmp_path: Path,
    database: Database,
    said: tuple[OnMissing, str | None, str | None],
    expected: str,
) -> None:
    configured, template, own = said
    options = IntakeOptions(rest=0.0, on_missing=configured)
    world = World(Spool.open(tmp_path / "spool"), database, options)
    text = TemplateText(subject="s", text="{{ city|default('x') }}", on_missing=template)  # type: ignore[arg-type]  # the table's own words
    await add(world.library, text)
    drop(world.spool, "news.json", job(**({"on_missing": own} if own else {})))
    await world.take()
    facts = await the_job(world.queue)
    assert decode(await world.queue.content(facts.id)).on_missing == expected


async def test_css_is_worked_in_when_the_job_asks(world: World) -> None:
    html = "<style>p{color:red}</style><p>{{ name }}</p>"
    await add(world.library, TemplateText(subject="s", html=html))
    drop(world.spool, "news.json", job(inline_css=True))
    await world.take()
    facts = await the_job(world.queue)
    made = decode(await world.queue.content(facts.id)).html
    assert made == '<style>p{color:red}</style><p style="color: red">{{ name }}</p>'


def test_the_configuration_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('[content]\non_missing = "empty"\ninline_css = true\n')
    content = load(tmp_path / "c.toml").content
    assert (content.on_missing, content.inline_css) == ("empty", True)


def test_checked_names_the_fields() -> None:
    assert checked(WELCOME) == {"name"}
