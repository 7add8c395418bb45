"""Job files -> `JobSpec`: job.toml, NAME.toml, NAME.json. Pure.

Contract: `JobError` is the only exception that leaves; it carries every problem found in one
reading (to `PROBLEMS` of them), each with file, line or key path, and remedy. Unknown keys are
problems too: a misspelt `deliver_by` must not become a campaign that arrives late.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from ekiden.config.locate import line_of, locate
from ekiden.errors import EkidenError
from ekiden.message.addresses import parse_mailbox
from ekiden.spool.jobspec import JobError, JobSpec, Shape, nearest, shown
from ekiden.spool.keys import KEYS, JobKey
from ekiden.spool.values import Context, WrongValueError

PROBLEMS: Final = 20

# tomllib needs quadratic time for `a.a.a.a = 1`: minutes for 100 KB. Nothing here is nested so.
_DOTTED: Final = re.compile(r"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){100}""")

Lines = Callable[[tuple[str | int, ...]], int]


def job_from_toml(data: bytes, file: str, name: str, *, shape: Shape, now: float) -> JobSpec:
    """Read job.toml or NAME.toml.

    Args:
        data: The file's bytes: UTF-8, with or without BOM.
        file: Its name, for messages.
        name: The job's NAME in the spool.
        shape: Whether texts, recipients and parts are files beside it or inside it.
        now: UNIX seconds, for relative times.

    Raises:
        JobError: It is not TOML, or not a job.
    """
    text = _utf8(data, file)
    if dotted := _DOTTED.search(text):
        raise JobError.one(
            "A key has more than 100 parts.", where=f"{file}:{_line(text, dotted.start())}"
        )
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        where = f"{file}:{found.group(1) if found else _line(text, len(text))}"
        raise JobError.one(f"Not valid TOML: {shown(str(error), 200)}.", where=where) from error
    except (RecursionError, ValueError) as error:  # nesting bombs; numbers of 5,000 digits
        raise JobError.one(
            "Not usable TOML: nested too deep, or a number too long.", where=file
        ) from error
    lines: Lines = lambda path: line_of(locate(text), path)  # noqa: E731 - lazy: only errors ask
    return job_from_table(table, file, name, Context(now, shape), lines)


def job_from_json(data: bytes, file: str, name: str, *, now: float) -> JobSpec:
    """Read NAME.json: the same keys as TOML, in one object.

    Raises:
        JobError: It is not JSON, or not a job.
    """
    text = _utf8(data, file)
    try:
        table = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        raise JobError.one(f"Not valid JSON: {shown(str(error), 200)}.", where=file) from error
    except RecursionError as error:
        raise JobError.one("Not usable JSON: nested too deep.", where=file) from error
    if not isinstance(table, dict):
        raise JobError.one("The file must hold one JSON object.", where=file)
    return job_from_table(table, file, name, Context(now, Shape.INLINE), lambda _: 0)


def job_from_table(
    table: Mapping[str, Any], file: str, name: str, context: Context, lines: Lines
) -> JobSpec:
    """Turn keys and values into a `JobSpec`.

    Args:
        table: As TOML or JSON gave it.
        file: For messages.
        name: The job's NAME in the spool: the default of `name`.
        context: Time and shape.
        lines: The line of a key path; 0 when unknown.

    Raises:
        JobError: With every problem found.
    """
    problems: list[EkidenError] = []
    found: dict[str, Any] = {}
    for key, value in table.items():
        try:
            found[key] = _known(key).convert(value, context)
        except WrongValueError as error:
            problems.append(_problem(error, file, (key, *error.path), lines))
    problems.extend(_absent(table, file))
    if problems:
        raise JobError(problems[:PROBLEMS])
    return checked(_assembled(found, name, context), file, context.now)


def _absent(table: Mapping[str, Any], file: str) -> Iterator[EkidenError]:
    """Yield what a job lacks; a stored template brings a subject and texts."""
    stored = "template" in table
    required = ("from", "recipients") if stored else ("from", "subject", "recipients")
    yield from (_missing(file, key) for key in required if key not in table)
    bodies = sorted(table.keys() & {"html", "text"})
    if not stored and not bodies:
        yield _missing(file, "html` or `text")
    if stored and bodies:
        yield EkidenError(
            f"`template` and `{bodies[0]}` are both there, and only one of them can be sent.",
            where=file,
            remedy="take one of them out",
        )


def checked(spec: JobSpec, file: str, now: float) -> JobSpec:
    """Return `spec` when its times agree with each other and with the clock.

    Raises:
        JobError: `deliver_by` has passed, or comes before `send_at`.
    """
    if spec.deliver_by is None:
        return spec
    if spec.deliver_by <= now:
        raise JobError.one(
            "`deliver_by` has already passed.", where=file, remedy="set a later time"
        )
    if spec.deliver_by <= spec.send_at:
        raise JobError.one(
            "`deliver_by` is not after `send_at`, so nothing could be delivered.",
            where=file,
            remedy="set a later `deliver_by` or an earlier `send_at`",
        )
    return spec


def _assembled(found: dict[str, Any], name: str, context: Context) -> JobSpec:
    sender = parse_mailbox(found["from"]).address
    fields: dict[str, Any] = {"name": name, "mail_from": sender.spec}
    fields |= {KEYS[key].field: value for key, value in found.items() if KEYS[key].field}
    fields["states_priority"] = "priority" in found
    fields["track_opens"], fields["track_clicks"] = found.get("tracking", (None, None))
    recipients = found["recipients"]
    fields["recipients_file" if isinstance(recipients, str) else "recipients"] = recipients
    return JobSpec(shape=context.shape, from_domain=sender.domain, **fields)


def _known(key: str) -> JobKey:
    if key not in KEYS:
        raise WrongValueError("is not a key of a job", remedy=nearest(key, KEYS))
    return KEYS[key]


def _missing(file: str, key: str) -> EkidenError:
    return EkidenError(f"`{key}` is missing.", where=file, remedy=f"add `{key}`")


def _problem(
    error: WrongValueError, file: str, path: tuple[str | int, ...], lines: Lines
) -> EkidenError:
    line = lines(path)
    written = shown(key_path(path), 120)
    return EkidenError(
        f"`{written}`: {error.what}.",
        where=f"{file}:{line}" if line else file,
        remedy=error.remedy,
    )


def key_path(path: tuple[str | int, ...]) -> str:
    """Write a path as people do: `attachments[0].type`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            written += f".{step}" if written else step
    return written


def _utf8(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JobError.one(
            f"Byte 0x{data[error.start]:02x} is not UTF-8.",
            where=f"{file}:{line}",
            remedy="save the file as UTF-8 (recipients and templates may be in other encodings,"
            " declared with `encoding` and `template_encoding`)",
        ) from error


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
