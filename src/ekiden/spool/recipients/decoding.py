"""Bytes of a recipients file -> text in blocks, with what could not be decoded marked. Pure.

A byte that the declared encoding does not allow becomes a lone surrogate, which no valid text holds
(it is PEP 383's idea, for every codec and every byte). The row it stands in can then be refused by
number while its neighbours are taken.

When the very first block is full of them, the declaration is wrong rather than a row: the job is
refused, because the rows that happen to be plain ASCII would be mailed now and once more when the
sender has corrected the declaration.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import Final

from ekiden.spool.jobspec import JobError

MARK: Final = re.compile("[\ud800-\udfff]")

_HEAD_BYTES: Final = 4096
_WRONG_SHARE: Final = 0.1  # of the first block's lines
_GUESSES: Final = ("utf-8", "cp932", "euc_jp", "iso2022_jp_ext")
_SPELLED: Final = {"cp932": "shift_jis", "iso2022_jp_ext": "iso2022_jp"}


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _marks(error.object[error.start : error.end]), error.end


def _marks(wrong: bytes) -> str:
    return "".join(chr(0xDC00 + byte) for byte in wrong)


codecs.register_error("ekiden-mark", _mark)


def decoded(chunks: Iterable[bytes], encoding: str, file: str) -> Iterator[str]:
    """Yield the text of `chunks`, without BOM, undecodable bytes as lone surrogates.

    Args:
        chunks: Non-empty pieces of the file, cut anywhere.
        encoding: The declared codec; "" for UTF-8, or UTF-16 when a BOM says so.
        file: For messages.

    Raises:
        JobError: The first block shows that it is another encoding.
    """
    rest = iter(chunks)
    head = _head(rest)
    encoding = _codec(encoding, head)
    decoder = codecs.getincrementaldecoder(encoding)(errors="ekiden-mark")
    text = _next(decoder, head)
    _judge(text, head, encoding, file)
    text = text.removeprefix("\ufeff")
    for chunk in rest:
        if text:
            yield text
        text = _next(decoder, chunk)
    text += decoder.decode(b"", final=True)
    if text:
        yield text


def _next(decoder: codecs.IncrementalDecoder, chunk: bytes) -> str:
    """Return the text that `chunk` goes on with.

    An escape sequence that ends nowhere (ISO 2022) fills the decoder's buffer, and it gives up with
    an error that no handler hears: then each line stands for itself.
    """
    pending = decoder.getstate()[0]
    try:
        return decoder.decode(chunk)
    except UnicodeError:
        decoder.reset()
    return "".join(_line(decoder, line) for line in (pending + chunk).splitlines(keepends=True))


def _line(decoder: codecs.IncrementalDecoder, line: bytes) -> str:
    try:
        return decoder.decode(line)
    except UnicodeError:
        decoder.reset()
        bare = line.rstrip(b"\r\n")
        return _marks(bare) + line[len(bare) :].decode("ascii")


def _head(chunks: Iterator[bytes]) -> bytes:
    """Enough of the file's beginning to judge it by."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    return head


def _codec(encoding: str, head: bytes) -> str:
    """The codec for a declared encoding ("" for none) and a file's beginning."""
    bom = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not encoding:
        return "utf-16" if bom else "utf-8"
    if encoding == "utf-16" and not bom:  # RFC 2781 section 4.3 says big-endian; Windows differs
        return "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
    return encoding


def marked(text: str) -> bool:
    """Return whether `text` holds lone surrogates; much faster than a search."""
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _judge(text: str, chunk: bytes, encoding: str, file: str) -> None:
    if not marked(text):
        return
    lines = text.split("\n")
    wrong = sum(1 for line in lines if MARK.search(line))
    if "\n" in text and not MARK.search(lines[0]) and wrong < max(2, len(lines) * _WRONG_SHARE):
        return
    fits = [_SPELLED.get(name, name) for name in _GUESSES if _fits(chunk, name)]
    raise JobError.one(
        f"{wrong} of the first {len(lines)} lines are not {_SPELLED.get(encoding, encoding)}.",
        where=file,
        remedy=f'declare the encoding: encoding = "{fits[0]}" would fit'
        if fits
        else "declare the file's encoding with `encoding`, or save it as UTF-8",
    )


def _fits(chunk: bytes, encoding: str) -> bool:
    """Whether the chunk is valid in `encoding`; it may end inside a character."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(chunk)
    except UnicodeError:
        return False
    return encoding != "iso2022_jp_ext" or b"\x1b$" in chunk
