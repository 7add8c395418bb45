"""What a message is as bytes and MIME: lines, transfer encodings, charsets, boundaries. Pure."""

import binascii
import codecs
import re
from typing import Final

from ekiden import limits
from ekiden.message.lint.found import Found, quoted
from ekiden.message.lint.source import Part
from ekiden.message.lint.words import names

LARGE_BYTES: Final = 25_000_000

_TRANSFERS: Final = frozenset({"", "7bit", "8bit", "binary", "quoted-printable", "base64"})
_QP_FAULT: Final = re.compile(rb"=(?![0-9A-Fa-f]{2}|[ \t]*$)", re.MULTILINE)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
# What people call an encoding, and what it is written in: Windows wrote most of it.
_READ_AS: Final = {
    "ascii": "ascii",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso2022_jp": "iso2022_jp_ext",
}
# Gmail, Outlook.com and iCloud refuse these, in archives too.
_BLOCKED: Final = names(
    """
    ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg dll dmg ex ex_ exe
    hta img ins iso isp jar jnlp js jse lib lnk mde mjs msc msi msix msixbundle msp mst nsh pif ps1
    scr sct shb sys vb vbe vbs vhd vxd wsc wsf wsh xll
    """
)


def check_lines(data: bytes, found: Found) -> None:
    """Line ends, NULs and long lines of a whole message."""
    pairs = data.count(b"\r\n")
    if data.count(b"\r") > pairs:
        alone = re.search(rb"\r(?!\n)", data)
        found.add("bare-cr", _at(data, alone.start() if alone else 0))
    if pairs and data.count(b"\n") > pairs:
        alone = re.search(rb"(?<!\r)\n", data)
        found.add("bare-lf", _at(data, alone.start() if alone else 0))
    if (nul := data.find(b"\0")) >= 0:
        found.add("nul", _at(data, nul))
    for number, line in enumerate(data.split(b"\n"), 1):
        if len(line.rstrip(b"\r")) > limits.LINE_OCTETS:
            found.add("long-line", f"line {number}", f"A line of {len(line):,} bytes.")
            break
    if len(data) > LARGE_BYTES:
        found.add("message-large", "message", f"It has {len(data) / 1e6:.0f} MB.")


def _at(data: bytes, position: int) -> str:
    line = data.count(b"\n", 0, position) + 1
    return f"line {line}"


def check_parts(root: Part, found: Found) -> None:
    """The MIME tree, part by part."""
    mime = any(one.name.lower().startswith("content-") for one in root.fields)
    if mime and root.get("mime-version") is None:
        found.add("mime-version", "message")
    for part in root.walk():
        where = f"{part.name}, line {part.line}"
        if not part.type_is_readable:
            written = part.get("content-type")
            found.add("content-type", where, f"{quoted(written.text if written else '')} is none.")
        for fault in part.faults:
            found.add("boundary", where, f"A multipart is broken: {fault}.")
        if part.type.startswith("multipart/"):
            if part.transfer not in {"", "7bit", "8bit", "binary"}:
                found.add("multipart-encoded", where)
        else:
            _check_leaf(part, where, found)


def _check_leaf(part: Part, where: str, found: Found) -> None:
    transfer = part.transfer
    if transfer not in _TRANSFERS:
        found.add("transfer-encoding", where, f"{quoted(transfer)} is no transfer encoding.")
    if not part.body.isascii() and transfer not in {"8bit", "binary"}:
        found.add("undeclared-8bit", where)
    if transfer == "base64" and not is_base64(part.body):
        found.add("bad-base64", where)
    if transfer == "quoted-printable" and (wrong := _QP_FAULT.search(part.body)):
        line = part.line + part.body.count(b"\n", 0, wrong.start())
        found.add("bad-quoted-printable", f"{part.name}, line {line}")
    if part.type.startswith("text/"):
        _check_charset(part, where, found)
    name = filename(part)
    if name.rpartition(".")[2].lower().strip() in _BLOCKED and "." in name:
        found.add("attachment-blocked", where, f"{quoted(name)} is of a kind that is refused.")


def filename(part: Part) -> str:
    """Return the file name a part gives, "" if none."""
    disposition = part.get("content-disposition")
    if disposition is not None:
        part.declared["Content-Disposition"] = disposition.text.encode("ascii", "replace").decode(
            "ascii"
        )
    try:
        return part.declared.get_filename() or ""
    except (ValueError, LookupError):
        return ""


def is_base64(body: bytes) -> bool:
    """Whether a body is base64 and nothing else."""
    packed = b"".join(body.split())
    return len(packed) % 4 == 0 and _BASE64.fullmatch(packed) is not None


def decoded(part: Part) -> bytes:
    """Return a part's bytes, as far as its transfer encoding lets them be read."""
    if part.transfer == "base64":
        packed = re.sub(rb"[^A-Za-z0-9+/]", b"", part.body)
        try:
            return binascii.a2b_base64(packed + b"=" * (-len(packed) % 4))
        except binascii.Error:
            return b""
    if part.transfer == "quoted-printable":
        return binascii.a2b_qp(part.body)
    return part.body


def text_of(part: Part) -> str:
    """Return a text part as its reader sees it."""
    data = decoded(part)
    codec = codec_of(part.param("charset")) or "utf-8"
    try:
        return data.decode(codec, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def codec_of(charset: str) -> str:
    """Return the codec that reads a charset; "" if nobody knows it."""
    try:
        name = codecs.lookup(charset or "us-ascii").name
        b"".decode(name)
    except (LookupError, ValueError, UnicodeError):
        return ""
    return _READ_AS.get(name, name)


def _check_charset(part: Part, where: str, found: Found) -> None:
    charset = part.param("charset")
    data = decoded(part)
    if not charset:
        if not data.isascii():
            found.add("charset-missing", where)
        return
    codec = codec_of(charset)
    if not codec:
        found.add("charset-unknown", where, f"Nobody knows the charset {quoted(charset, 30)}.")
        return
    try:
        data.decode(codec)
    except (UnicodeDecodeError, ValueError) as error:
        if codec == "iso2022_jp_ext" and data.isascii():
            return  # letters that Windows added (①, ㈱): every reader in Japan shows them
        at = getattr(error, "start", 0)
        line = part.line + data.count(b"\n", 0, at) if part.transfer != "base64" else part.line
        found.add(
            "charset-wrong",
            f"{part.name}, line {line}",
            f"The byte 0x{data[at]:02x} is not {charset}." if at < len(data) else "",
        )
