"""Attachments and images of a job file -> checked parts; the contract is that of `values`."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any, Final

from ekiden import limits
from ekiden.spool.jobspec import Part, Shape
from ekiden.spool.values import Context, WrongValueError, filled, kind, only, table, text, within

_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_CID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")


def attachments(value: Any, context: Context) -> tuple[Part, ...]:
    """A list of file names, or of tables."""
    return tuple(within(i, _attachment, each, context) for i, each in enumerate(_parts(value)))


def images(value: Any, context: Context) -> tuple[Part, ...]:
    """A list of tables with `cid`, or one table of cid and file name."""
    if isinstance(value, dict) and context.shape is Shape.DIRECTORY:
        value = [{"cid": cid, "file": file} for cid, file in value.items()]
    found = tuple(within(i, _image, each, context) for i, each in enumerate(_parts(value)))
    if len({part.cid for part in found}) < len(found):
        raise WrongValueError("two images have the same `cid`")
    return found


def _attachment(value: Any, context: Context) -> Part:
    if isinstance(value, str):
        value = {"file": value}
    return _part(value, context, ("file", "name", "type", "content"))


def _image(value: Any, context: Context) -> Part:
    part = _part(value, context, ("file", "name", "type", "content", "cid"))
    if not part.cid:
        raise WrongValueError("an image needs a `cid`", remedy='as in <img src="cid:logo">')
    return part


def _part(value: Any, context: Context, known: Sequence[str]) -> Part:
    found = table(value)
    only(found, known)
    source, other = ("file", "content") if context.shape is Shape.DIRECTORY else ("content", "file")
    if other in found or source not in found:
        raise WrongValueError(
            f"needs `{source}` here",
            remedy="parts are files in a job directory, and base64 text in an inline job",
        )
    cid = within("cid", filled, found["cid"], context).strip("<>") if "cid" in found else ""
    if cid and not _CID.fullmatch(cid):
        raise WrongValueError("is not a Content-ID", path=("cid",))
    file = within("file", filled, found["file"], context) if source == "file" else ""
    name = within("name", filled, found.get("name", file.rpartition("/")[2] or cid), context)
    media_type = within("type", text, found.get("type", ""), context)
    if media_type and not _MEDIA_TYPE.fullmatch(media_type):
        raise WrongValueError("is not a media type such as image/png", path=("type",))
    content = _base64(found["content"]) if source == "content" else b""
    return Part(name, file, content, media_type, cid)


def _base64(value: Any) -> bytes:
    if not isinstance(value, str):
        raise WrongValueError("expected base64 text", path=("content",))
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise WrongValueError("is not base64", path=("content",)) from error


def _parts(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise WrongValueError(f"expected a list, not {kind(value)}")
    if len(value) > limits.ATTACHMENTS:
        raise WrongValueError(f"has more than {limits.ATTACHMENTS} entries")
    return value
