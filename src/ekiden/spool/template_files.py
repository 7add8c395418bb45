"""A template's file or directory -> its texts: what `ekiden templates add` reads. Blocking.

Three shapes, told apart by what is there:

- a directory with `template.toml`: `html`, `text`, `images` and `attachments` name files in it;
- `NAME.toml` or `NAME.json`: the same keys, the texts in them, files as base64;
- the JSON of Amazon SES (`Template` or `TemplateContent` with `SubjectPart`, `HtmlPart`, `TextPart`
  or `Subject`, `Html`, `Text`), as `aws ses get-template` and `aws sesv2 get-email-template` print.

Contract: `EkidenError` with the file, the key and what to do.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ekiden import limits
from ekiden.errors import EkidenError, RefusedError
from ekiden.message.content import Attachment
from ekiden.spool.content import attachment_of
from ekiden.spool.jobspec import JobError, Part, Shape, nearest, shown
from ekiden.spool.keys import KEYS, JobKey
from ekiden.spool.values import Context, WrongValueError
from ekiden.templates.model import TemplateText

TEMPLATE_FILE: Final = "template.toml"
TEXT_KEYS: Final = (
    *("subject", "html", "text", "preheader", "to_name", "language", "charset", "headers"),
    *("on_missing", "inline_css", "defaults", "configuration_set", "attachments", "images"),
)
_SES: Final = {"Subject": "subject", "Html": "html", "Text": "text"}
_SES_PARTS: Final = {f"{name}Part": key for name, key in _SES.items()}


def read_template(path: Path) -> tuple[TemplateText, str]:
    """Read a template.

    Returns:
        Its texts, and the configuration set it names.

    Raises:
        EkidenError: It cannot be read, or is no template.
    """
    if path.is_dir():
        table = _toml(path / TEMPLATE_FILE)
        return text_from_table(table, str(path / TEMPLATE_FILE), path)
    if path.suffix == ".json":
        try:
            table = msgspec.json.decode(_read(path))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise EkidenError(f"Not valid JSON: {error}.", where=str(path)) from error
        if not isinstance(table, dict):
            raise EkidenError("The file must hold one JSON object.", where=str(path))
        return text_from_table(_from_ses(table), str(path), None)
    if path.suffix == ".toml":
        return text_from_table(_toml(path), str(path), None)
    raise EkidenError(
        "This is no template.",
        where=shown(str(path)),
        remedy=f"give a directory with {TEMPLATE_FILE}, a .toml or .json file, or --html FILE",
    )


def text_from_table(
    table: Mapping[str, Any], file: str, directory: Path | None
) -> tuple[TemplateText, str]:
    """Turn keys and values into a template's texts.

    Args:
        table: As TOML or JSON gave it.
        file: For messages.
        directory: Where its files are; None when the table holds them.

    Raises:
        JobError: With every problem found.
    """
    context = Context(0.0, Shape.INLINE if directory is None else Shape.DIRECTORY)
    problems: list[EkidenError] = []
    found: dict[str, Any] = {}
    for key, value in table.items():
        try:
            found[key] = _known(key).convert(value, context)
            if directory is not None and key in {"html", "text"}:
                found[key] = _text(directory, found[key])
            elif key in {"attachments", "images"}:
                found[key] = tuple(_attachment(one, directory) for one in found[key])
        except WrongValueError as error:
            path = "".join(f".{step}" for step in (key, *error.path))[1:]
            problems.append(
                EkidenError(f"`{path}`: {error.what}.", where=file, remedy=error.remedy)
            )
    if problems:
        raise JobError(problems)
    chosen = str(found.pop("configuration_set", ""))
    if "on_missing" in found:
        found["on_missing"] = found["on_missing"].value
    found["attachments"] = (*found.get("attachments", ()), *found.pop("images", ()))
    return TemplateText(**found), chosen


def read_attachment(path: Path, cid: str = "") -> Attachment:
    """Return a file as an attachment; with a `cid` as an inline image.

    Raises:
        EkidenError: It cannot be read, or is larger than all parts of a template may be.
    """
    data = _read(path, limits.STORED_PARTS_BYTES)
    return attachment_of(Part(name=path.name, file=path.name, cid=cid), data)


def _known(key: str) -> JobKey:
    if key not in TEXT_KEYS:
        raise WrongValueError("is not a key of a template", remedy=nearest(key, TEXT_KEYS))
    return KEYS[key]


def _from_ses(table: dict[str, Any]) -> Mapping[str, Any]:
    inner = table.get("Template") or table.get("TemplateContent") or table
    if not isinstance(inner, dict) or not (inner.keys() & {*_SES, *_SES_PARTS}):
        return table
    names = _SES | _SES_PARTS
    return {names[key]: value for key, value in inner.items() if key in names and value is not None}


def _text(directory: Path, name: str) -> str:
    return read_text(_inside(directory, name))


def _attachment(part: Part, directory: Path | None) -> Attachment:
    if directory is None:
        return attachment_of(part, part.content)
    return attachment_of(part, _read(_inside(directory, part.file), limits.STORED_PARTS_BYTES))


def _inside(directory: Path, name: str) -> Path:
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise RefusedError("The path leaves the template's directory.", where=shown(name))
    return path


def read_text(path: Path) -> str:
    """Return a template file's text.

    Raises:
        EkidenError: It cannot be read, is too large, or is no UTF-8.
    """
    try:
        return _read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EkidenError(
            "The file is not UTF-8.", where=shown(str(path)), remedy="save it as UTF-8"
        ) from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise EkidenError(f"Not valid TOML: {error}.", where=shown(str(path))) from error


def _read(path: Path, cap: int = limits.TEMPLATE_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(cap + 1)
    except OSError as error:
        raise EkidenError(
            f"It cannot be read: {error.strerror}.", where=shown(str(path))
        ) from error
    if len(data) > cap:
        raise EkidenError(f"The file is larger than {cap:,} bytes.", where=shown(str(path)))
    return data
