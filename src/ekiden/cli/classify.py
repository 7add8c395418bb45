"""`ekiden classify` and `ekiden report`: what a reply, or a returned mail, means.

Both read files or standard input and print; neither asks a daemon nor changes anything. With
`--jsonl` one object goes in and one comes out per line, in the same order, whatever is in it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ekiden.cli.output import print_facts, visible
from ekiden.errors import EkidenError, NotFoundError

# A reply is at most 32 KiB; a line longer than this is none, and is not read whole.
_LINE_CAP = 1024 * 1024
Rules = Annotated[
    list[Path] | None, typer.Option(help="A rule file that comes before the shipped ones.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("classify")(classify)
    app.command("report")(report)


def classify(  # noqa: PLR0917 - typer passes options by name
    reply: Annotated[str, typer.Argument(help="The reply, as the receiver wrote it.")] = "",
    stage: Annotated[
        str, typer.Option(help="connect, ehlo, mail, rcpt, data or body (after the final dot).")
    ] = "",
    mx: Annotated[str, typer.Option(help="The host that answered.")] = "",
    recipient: Annotated[str, typer.Option(help="The recipient's address.")] = "",
    provider: Annotated[str, typer.Option(help="The provider's name.")] = "",
    status: Annotated[str, typer.Option(help="The enhanced status code.")] = "",
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Objects from standard input, one a line.")
    ] = False,
    rules: Rules = None,
) -> None:
    """Say what a reply means and what follows from it."""
    from ekiden.bounce.classify import Classifier  # noqa: PLC0415 - help must not wait for it

    classifier = Classifier.load(rules or ())
    if jsonl:
        for line in _lines():
            _write_line(_answer(classifier, _decoded(line)))
        return
    if not reply:
        raise EkidenError("there is no reply to classify", remedy="give it in quotes, or --jsonl")
    asked = {
        "reply": reply,
        "stage": stage,
        "mx": mx,
        "recipient": recipient,
        "provider": provider,
        "status": status,
    }
    print_facts(_facts(_verdict(classifier, asked)))


def report(
    files: Annotated[list[str], typer.Argument(help="Mails as received; - for standard input.")],
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One object a line for each mail.")
    ] = False,
    rules: Rules = None,
) -> None:
    """Say what returned mails are, and what they say about whom."""
    from ekiden.bounce.classify import Classifier  # noqa: PLC0415 - help must not wait for them
    from ekiden.bounce.mail import read_report  # noqa: PLC0415

    classifier = Classifier.load(rules or ())
    for name in files:
        found = read_report(_read(name), classifier)
        if jsonl:
            _write_line({"file": name, **_of_report(found)})
        else:
            _print_report(name, found)


def _read(name: str) -> bytes:
    from ekiden.bounce.mime import MAIL_CAP  # noqa: PLC0415 - as above

    if name == "-":
        return sys.stdin.buffer.read(MAIL_CAP)
    try:
        with Path(name).open("rb") as file:
            return file.read(MAIL_CAP)
    except OSError as error:
        raise NotFoundError(
            f"cannot read the mail: {error.strerror}", where=name, remedy="give a file of one mail"
        ) from error


def _lines() -> Iterator[bytes]:
    """Lines of standard input; what is too long to be an object stands for a broken one."""
    while line := sys.stdin.buffer.readline(_LINE_CAP):
        rest = line
        while len(rest) == _LINE_CAP and not rest.endswith(b"\n"):
            rest = sys.stdin.buffer.readline(_LINE_CAP)
        yield line if rest is line else b""


def _decoded(line: bytes) -> dict[str, Any] | None:
    import msgspec  # noqa: PLC0415 - only --jsonl needs it

    try:
        found = msgspec.json.decode(line.decode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answer(classifier: Any, asked: dict[str, Any] | None) -> dict[str, Any]:
    from ekiden.bounce.classes import CLASSES  # noqa: PLC0415 - help must not wait for it

    if asked is None or not isinstance(asked.get("reply"), str):
        unknown = CLASSES["unknown"]
        return {
            "class": unknown.name,
            "action": unknown.action,
            "rule": "",
            "provider": "",
            "why": "not an object with a reply",
        }
    verdict = _verdict(classifier, asked)
    answer: dict[str, Any] = {
        "class": verdict.klass,
        "action": verdict.action,
        "rule": verdict.rule,
        "provider": verdict.provider,
        "why": verdict.why,
    }
    if verdict.retry_after is not None:
        answer["retry_after"] = verdict.retry_after
    if verdict.listing is not None:
        listing = verdict.listing
        answer["listing"] = {"name": listing.name, "ip": listing.ip, "url": listing.url}
    return answer


def _verdict(classifier: Any, asked: dict[str, Any]) -> Any:
    from ekiden.bounce.classify import ReplyContext, stage_of  # noqa: PLC0415 - as above

    def text(key: str) -> str:
        value = asked.get(key)
        return value if isinstance(value, str) else ""

    recipient = text("recipient")
    return classifier.classify(
        ReplyContext(
            text("reply"),
            enhanced=_status(text("status")),
            stage=stage_of(text("stage")),
            mx=text("mx"),
            destination=recipient.rpartition("@")[2],
            recipient=recipient,
            provider=text("provider"),
        )
    )


def _status(text: str) -> str:
    """The enhanced status code in `text`; "" if it is none."""
    from ekiden.bounce.dsn import status_in  # noqa: PLC0415 - as above

    return status_in(text[:100])


def _facts(verdict: Any) -> dict[str, str]:
    facts = {
        "class": verdict.klass,
        "action": verdict.action,
        "rule": verdict.rule,
        "provider": verdict.provider,
        "why": verdict.why,
    }
    if verdict.retry_after is not None:
        facts["retry after"] = f"{verdict.retry_after:.0f} s"
    if verdict.listing is not None:
        facts["list"] = verdict.listing.name or "not named"
        facts["address"] = verdict.listing.ip
        facts["removal"] = verdict.listing.url
    return {name: value for name, value in facts.items() if value}


def _of_report(found: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "kind": found.kind,
        "recipients": [
            {
                "address": one.address,
                "status": one.status,
                "diagnostic": one.diagnostic,
                "stage": one.stage or "",
                "mta": one.mta,
                "class": one.verdict.klass,
                "action": one.verdict.action,
                "rule": one.verdict.rule,
            }
            for one in found.recipients
        ],
        "message_id": found.original.message_id,
        "ref": found.original.ekiden_ref,
    }
    if found.feedback is not None:
        answer["feedback_type"] = found.feedback.feedback_type
    if found.detail:
        answer["detail"] = found.detail
    return answer


def _print_report(name: str, found: Any) -> None:
    print(f"{visible(name)}: {found.kind}")
    for one in found.recipients:
        print_facts(
            {
                "  address": one.address,
                "  status": one.status or "-",
                "  class": one.verdict.klass,
                "  action": one.verdict.action,
                "  diagnostic": one.diagnostic or "-",
            }
        )


def _write_line(value: dict[str, Any]) -> None:
    import msgspec  # noqa: PLC0415 - only --jsonl needs it

    # Backslash-replaced text has no lone surrogates left that JSON could not carry.
    sys.stdout.buffer.write(msgspec.json.encode(_clean(value)) + b"\n")
    sys.stdout.flush()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return value


if __name__ == "__main__":
    _app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    register(_app)
    _app()
