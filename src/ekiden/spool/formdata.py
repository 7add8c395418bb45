"""A form with files (RFC 7578) -> the files of a job directory. Pure.

```
curl -F job=@job.toml -F file=@people.csv -F 'file=@logo.png;filename=img/logo.png' ...
```

The part called `job` is the job file; every other part is a file under the name it brings. What the
job does not name is not read. Contract: `RefusedError` is the only exception that leaves.
"""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from ekiden.errors import RefusedError
from ekiden.spool.jobspec import shown

JOB_PART: Final = "job"
JOB_FILE: Final = "job.toml"

_HEAD_BYTES: Final = 8 * 1024  # of one part
_BCHARS: Final = "0-9A-Za-z'()+_,./:=?-"  # RFC 2046 section 5.1.1; quoted also a space
_BOUNDARY: Final = re.compile(
    rf';\s*boundary=(?:"([ {_BCHARS}]{{1,70}})"|([{_BCHARS}]{{1,70}}))\s*(?:;|$)', re.IGNORECASE
)
_FIELD: Final = re.compile(
    r';\s*(name|filename)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.ASCII
)
_ESCAPED: Final = re.compile(r'\\(["\\])')


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts.

    Raises:
        RefusedError: The Content-Type does not say.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise RefusedError(
            "the Content-Type names no boundary", remedy="let your HTTP client write it"
        )
    return (found[1] or found[2]).encode()


def files_of(body: bytes, boundary: bytes, most: int) -> dict[str, bytes]:
    """Return the files of a form by their names, the job file among them.

    Args:
        body: The form.
        boundary: What stands between its parts.
        most: Files that are taken at most.

    Raises:
        RefusedError: It is no such form, has no job, a part twice, or too many.
    """
    files: dict[str, bytes] = {}
    for number, (head, content) in enumerate(_parts(body, boundary), 1):
        name = _name(head, number)
        if name in files:
            raise RefusedError("this file is there twice", where=shown(name, 300))
        if number > most:
            raise RefusedError(f"the form holds more than {most} files")
        files[name] = content
    if JOB_FILE not in files:
        raise RefusedError("the form has no part `job`", remedy="curl -F job=@job.toml ...")
    return files


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield head and content of each part.

    Raises:
        RefusedError: It does not begin, or end, or a part has no head.
    """
    line = b"\r\n--" + boundary
    whole = b"\r\n" + body
    at = whole.find(line)
    while at >= 0:
        at += len(line)
        if whole.startswith(b"--", at):
            return
        begins = whole.find(b"\r\n", at)
        after = whole.find(line, at)
        # An empty head is a part without a name, which is refused there.
        head_ends = whole.find(b"\r\n\r\n", begins, begins + _HEAD_BYTES)
        if begins < 0 or after < 0 or not 0 <= head_ends < after or whole[at:begins].strip():
            break
        yield whole[begins:head_ends], whole[head_ends + 4 : after]
        at = after
    raise RefusedError("the form is cut off, or none", remedy="send multipart/form-data whole")


def _name(head: bytes, number: int) -> str:
    """Return the path under which a part is kept."""
    lines = head.decode("utf-8", "replace").split("\r\n")
    kind = "content-disposition:"
    disposition = next((line for line in lines if line.lower().startswith(kind)), "")
    fields = {
        name: _ESCAPED.sub(r"\1", quoted) or plain
        for name, quoted, plain in _FIELD.findall(disposition)
    }
    if fields.get("name") == JOB_PART:
        return JOB_FILE
    # Browsers escape a quote as %22 and nothing else; a name is never more than a name here.
    path = unquote(fields.get("filename", ""))
    if not path:
        raise RefusedError(
            f"part {number} of the form is no file", remedy="give each file its name"
        )
    return path
