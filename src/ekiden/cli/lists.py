"""`ekiden lists` and `ekiden topics`: contact lists, and what people choose within them."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ekiden.cli.access import Access
    from ekiden.lists.model import ContactList, Preference, Sunset, Topic

List = Annotated[str, typer.Argument(help="The list's name.", show_default=False)]
TopicName = Annotated[str, typer.Argument(help="The topic's name.", show_default=False)]
Description = Annotated[
    str | None, typer.Option("--description", help="A sentence about it.", show_default=False)
]
DisplayName = Annotated[
    str | None, typer.Option("--display-name", help="What people read.", show_default=False)
]
SunsetTime = Annotated[
    str,
    typer.Option(
        "--sunset",
        help='Leave out who has not reacted for so long ("180d") and got --sunset-mails since.',
        show_default=False,
    ),
]
SunsetMails = Annotated[
    int, typer.Option("--sunset-mails", min=1, help="The least number of mails for --sunset.")
]


class Default(StrEnum):
    """What holds for contacts who have not chosen."""

    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"


TopicDefault = Annotated[
    Default | None,
    typer.Option("--default", help="For contacts who have not chosen.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    lists = typer.Typer(help="Contact lists.", no_args_is_help=True)
    lists.command("list")(list_)
    lists.command("add")(add)
    lists.command("show")(show)
    lists.command("change")(change)
    lists.command("remove")(remove)
    app.add_typer(lists, name="lists")
    topics = typer.Typer(help="The topics of a contact list.", no_args_is_help=True)
    topics.command("list")(list_topics)
    topics.command("add")(add_topic)
    topics.command("change")(change_topic)
    topics.command("remove")(remove_topic)
    app.add_typer(topics, name="topics")


def list_(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the contact lists."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.list_requests import Lists  # noqa: PLC0415

    _print(ask(config, Lists()), as_json=as_json)


def add(
    name: List,
    *,
    description: Description = None,
    sunset: SunsetTime = "",
    sunset_mails: SunsetMails = 10,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Make a list."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import AddList  # noqa: PLC0415

    rule = _sunset(sunset, sunset_mails)
    request = AddList(contact_list=name, description=description or "", sunset=rule)
    _print([ask(config, request, create=True)], as_json=as_json)


def show(name: List, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show a list: its topics, and how many are on it."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ShowList  # noqa: PLC0415

    found = ask(config, ShowList(contact_list=name))
    if as_json:
        print_json(found)
        return
    facts = {
        "name": found.list.name,
        "description": found.list.description or "-",
        "created": moment(found.list.created_at),
        "sunset": _rule(found.list),
        "contacts": count(found.counts.contacts),
        "unsubscribed": count(found.counts.unsubscribed),
        "unengaged": count(found.counts.unengaged),
    }
    topics = {
        f"topic {topic.name}": f"{count(found.counts.topics[topic.name])} ({_default(topic)})"
        for topic in found.topics
    }
    print_facts(facts | topics)


def change(
    name: List,
    *,
    description: Description = None,
    sunset: SunsetTime = "",
    sunset_mails: SunsetMails = 10,
    no_sunset: Annotated[bool, typer.Option("--no-sunset", help="Drop the rule.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change a list's description or sunset rule."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ChangeList  # noqa: PLC0415

    request = ChangeList(
        contact_list=name,
        description=description,
        sunset=_sunset(sunset, sunset_mails),
        drop_sunset=no_sunset,
    )
    _print([ask(config, request)], as_json=as_json)


def remove(
    name: List,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Remove a list with its contacts; records of consent are kept as long as the law asks."""
    import sys  # noqa: PLC0415 - as above

    from ekiden.cli.access import ask  # noqa: PLC0415
    from ekiden.control.list_requests import RemoveList  # noqa: PLC0415

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Remove the list {name}, and who has left it?", abort=True)
    removed = ask(config, RemoveList(contact_list=name))
    if as_json:
        print_json({"removed": name, "contacts": removed})
    else:
        print(f"{name} is removed; it had {count(removed)} contacts")


def list_topics(name: List, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the topics of a list."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import Topics  # noqa: PLC0415

    _print_topics(ask(config, Topics(contact_list=name)), as_json=as_json)


def add_topic(
    name: List,
    topic: TopicName,
    *,
    default: TopicDefault = None,
    display_name: DisplayName = None,
    description: Description = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Add a topic to a list; without --default only those who choose it are mailed."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import AddTopic  # noqa: PLC0415
    from ekiden.lists.model import Topic  # noqa: PLC0415

    made = Topic(topic, display_name or topic, description or "", _preference(default))
    _print_topics(
        [ask(config, AddTopic(contact_list=name, topic=made), create=True)], as_json=as_json
    )


def change_topic(
    name: List,
    topic: TopicName,
    *,
    default: TopicDefault = None,
    display_name: DisplayName = None,
    description: Description = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a topic."""
    from dataclasses import replace  # noqa: PLC0415 - as above

    from ekiden.cli.access import with_access  # noqa: PLC0415
    from ekiden.control.list_requests import ChangeTopic, Topics  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    async def change_it(there: "Access") -> "Topic":
        known = {one.name: one for one in await there.ask(Topics(contact_list=name))}
        if topic not in known:
            raise NotFoundError(f"the list {name!r} has no topic {topic!r}")
        made = known[topic]
        made = replace(
            made,
            display_name=made.display_name if display_name is None else display_name,
            description=made.description if description is None else description,
            default=made.default if default is None else _preference(default),
        )
        return await there.ask(ChangeTopic(contact_list=name, topic=made))

    _print_topics([with_access(config, change_it)], as_json=as_json)


def remove_topic(
    name: List, topic: TopicName, config: ConfigPath = None, as_json: AsJson = False
) -> None:
    """Remove a topic, and what everybody chose about it."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import RemoveTopic  # noqa: PLC0415

    ask(config, RemoveTopic(contact_list=name, topic=topic))
    if as_json:
        print_json({"removed": topic})
    else:
        print(f"{topic} is removed from {name}")


def _print(lists: "list[ContactList]", *, as_json: bool) -> None:
    if as_json:
        print_json(lists)
        return
    columns = [*map(Column, ("name", "created", "sunset", "description"))]
    rows = ((one.name, moment(one.created_at), _rule(one), one.description) for one in lists)
    print_table(columns, rows, empty="there is no contact list")


def _print_topics(topics: "list[Topic]", *, as_json: bool) -> None:
    if as_json:
        print_json(topics)
        return
    columns = [*map(Column, ("name", "default", "display name", "description"))]
    rows = ((one.name, _default(one), one.display_name, one.description) for one in topics)
    print_table(columns, rows, empty="the list has no topic")


def _default(topic: "Topic") -> str:
    return str(topic.default).lower().replace("_", "-")


def _preference(default: Default | None) -> "Preference":
    from ekiden.lists.model import Preference  # noqa: PLC0415 - as above

    return Preference.OPT_IN if default is Default.OPT_IN else Preference.OPT_OUT


def _sunset(text: str, mails: int) -> "Sunset | None":
    from ekiden.config.units import parse_duration  # noqa: PLC0415 - as above
    from ekiden.lists.model import Sunset  # noqa: PLC0415

    if not text:
        return None
    try:
        return Sunset(parse_duration(text), mails)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint="--sunset") from None


def _rule(one: "ContactList") -> str:
    from ekiden.config.units import format_duration  # noqa: PLC0415 - as above

    if one.sunset is None:
        return "-"
    return f"{format_duration(one.sunset.seconds)}, {one.sunset.mails} mails"
