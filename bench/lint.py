"""What lint finds and what it should not: faults found, false alarms, and its speed.

    python -m bench.lint [--verbose] [--public CACHE] [DIRECTORY...]

A hundred sound newsletters (`tests/mails.py`) and the mails of `tests/broken_mails.py` are looked
at. A DIRECTORY adds foreign material: its `.html` files are sent as newsletters, each as it is and
then broken in ways of which lint must find every one; its `.eml` and `.txt` files are read as
mails, with what is found told by code. Findings in foreign newsletters are for a person to judge:
`--verbose` prints them.

`--public` does that with the letters of `bench.letters`, which are fetched into CACHE. There a
second opinion (`bench.opinion`) is asked for every rule that it can judge, and `FALSE_ALARMS` holds
what a person who looked at each finding calls false: figures by rule.
"""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.letters import mails as public_mails
from bench.letters import pages as public_pages
from bench.opinion import JUDGED, second_opinion
from broken_mails import broken
from ekiden.errors import EkidenError
from ekiden.message.compile import compile_content
from ekiden.message.content import Content
from ekiden.message.lint.check import lint, looks_bulk
from ekiden.message.lint.model import Finding, Purpose, Severity
from ekiden.message.rendered import Marks, Recipient
from mails import DATE, FIELDS, newsletters

MARKS = Marks("<1.abc@example.com>", DATE, FIELDS)
BODY = re.compile(r"</body", re.IGNORECASE)

# What is added to somebody else's newsletter, and what must be found then.
ADDED = {
    "image-alt": '<img src="https://img.example.com/new.png">',
    "image-insecure": '<img src="http://img.example.com/new.png" alt="x">',
    "image-cid": '<img src="cid:nobody" alt="x">',
    "active-content": "<script>steal()</script>",
    "html-unbalanced": "<div><span>x</div>",
    "hidden-text": f'<div style="display:none">{"hidden words " * 40}</div>',
    "merge-left": "<p>Dear {{ first_name }},</p>",
    "link-mismatch": '<a href="https://evil.example/x">https://www.bank.example/login</a>',
    "link-shortener": '<a href="https://bit.ly/x">x</a>',
    "link-ip": '<a href="https://192.0.2.1/x">x</a>',
    "link-insecure": '<a href="http://www.example.com/new">x</a>',
    "link-invalid": '<a href="www.example.com">x</a>',
    "link-user": '<a href="https://www.bank.example@evil.example/">x</a>',
    "urls-many": "".join(f'<a href="https://www.example.com/{n}">{n}</a> ' for n in range(60)),
    "html-large": "<p>filler filler filler</p>\n" * 4000,
}
# What is done to its message.
DONE = {
    "duplicate-field": (b"From: ", b"From: a@example.com\r\nFrom: "),
    "date-invalid": (b"\r\nDate: ", b"\r\nDate: Blursday "),
    "message-id-invalid": (b"<1.abc@example.com>", b"1.abc"),
    "mime-version": (b"MIME-Version: 1.0\r\n", b""),
    "boundary": (b'boundary="', b'boundary="x'),
    "charset-unknown": (b"charset=", b"charset=x-"),
    "unsubscribe-header": (b"List-Unsubscribe: ", b"X-Unsubscribe: "),
    "unsubscribe-one-click": (b"List-Unsubscribe=One-Click", b"One-Click"),
    "subject-missing": (b"Subject: ", b"X-Subject: "),
    "bare-lf": (b"\r\n\r\n", b"\r\n\n\r\n"),
}

# What is not asked of a mail to one person.
UNASKED = {"unsubscribe-header", "unsubscribe-body"}
# Findings in public letters that a person calls false: the code, and how the names of the letters
# begin, with the reason.
FALSE_ALARMS = {
    ("excessive", "bogofilter good"): "a name with spaces between its letters, in a signature",
    ("image-only", "mailgen"): "a frame whose paragraphs the program adds",
    ("image-only", "@directus/api"): "a frame whose paragraphs another file adds",
    ("image-cid", "n8n"): "the program attaches the image",
}


def alarms(findings: Iterable[Finding]) -> list[Finding]:
    """What a sound newsletter must not give."""
    return [one for one in findings if one.severity is not Severity.INFO]


def message(html: str) -> bytes:
    """Somebody's HTML as a newsletter of ours."""
    content = Content(
        from_="Example News <news@example.com>",
        subject="News of November",
        html=f"{{% raw %}}{html}{{% endraw %}}",
    )
    return compile_content(content).render(Recipient("reader@example.org"), MARKS).message()


def spoiled(html: str, raw: bytes) -> Iterator[tuple[str, bytes]]:
    """A newsletter, broken in one way after the other."""
    for code, added in ADDED.items():
        at = [*BODY.finditer(html)]
        place = at[-1].start() if at else len(html)
        yield code, message(html[:place] + added + html[place:])
    for code, (old, new) in DONE.items():
        if old in raw:
            yield code, raw.replace(old, new, 1)


def own(*, verbose: bool) -> None:
    """The corpus of the tests."""
    letters = list(newsletters())
    before = time.process_time()
    found = {name: alarms(lint(raw)) for name, raw in letters}
    took = time.process_time() - before
    false = sum(map(bool, found.values()))
    size = sum(len(raw) for _, raw in letters)
    print(f"sound newsletters        {len(letters):5}   with a false alarm {false}")
    print(f"  CPU {1000 * took / len(letters):.2f} ms a mail of {size // len(letters):,} bytes")
    mails = broken()
    missed = [one.name for one in mails if one.code not in {f.code for f in lint(one.message)}]
    print(f"broken mails             {len(mails):5}   found {len(mails) - len(missed)}")
    for name in missed if verbose else ():
        print(f"  missed: {name}")


def foreign(folder: Path, *, verbose: bool) -> None:
    """Somebody else's newsletters and mails."""
    codes: Counter[str] = Counter()
    pages = hit = tried = 0
    missed: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.html")):
        html = path.read_text(encoding="utf-8", errors="replace")
        try:
            raw = message(html)
        except EkidenError as error:
            print(f"  {path.name}: {error}")
            continue
        pages += 1
        findings = alarms(lint(raw))
        codes.update({one.code for one in findings})
        for one in findings if verbose else ():
            print(f"  {path.name}: {one.severity.value} {one.code} {one.where}: {one.what}")
        for code, bad in spoiled(html, raw):
            tried += 1
            ok = code in {one.code for one in lint(bad)}
            hit += ok
            missed[code] += not ok
    if pages:
        print(f"{folder.name}: {pages} newsletters, by how many of them:")
        print("  " + ", ".join(f"{code} {count}" for code, count in codes.most_common()))
        print(f"  broken {tried} times, found {hit}; missed: {dict(+missed)}")
    mails = [path for path in sorted(folder.rglob("*")) if path.suffix in {".eml", ".txt"}]
    told: Counter[str] = Counter()
    for path in mails:
        findings = alarms(lint(path.read_bytes()))
        told.update({one.code for one in findings})
        for one in findings if verbose else ():
            print(f"  {path.name}: {one.severity.value} {one.code} {one.where}: {one.what}")
    if mails:
        print(f"{folder.name}: {len(mails)} mails, by how many of them:")
        print("  " + ", ".join(f"{code} {count}" for code, count in told.most_common()))


def is_false(code: str, name: str) -> bool:
    """Whether a person called a finding in a public letter false."""
    return any(code == known and name.startswith(start) for known, start in FALSE_ALARMS)


def judged(letters: Iterable[tuple[str, bytes, Purpose]], *, verbose: bool) -> None:
    """Count findings by rule, those called false, and where a second opinion differs."""
    told: Counter[str] = Counter()
    false: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    count = 0
    for name, raw, purpose in letters:
        count += 1
        findings = alarms(lint(raw, None, purpose))
        codes = {one.code for one in findings}
        other = second_opinion(raw) - (set() if purpose.bulk else UNASKED)
        told.update(codes)
        false.update(code for code in codes if is_false(code, name))
        alone.update((codes & JUDGED) - other)
        missed.update(other - codes)
        for one in findings if verbose else ():
            print(f"  {name}: {one.severity.value} {one.code} {one.where}: {one.what}")
    print(f"  {count} looked at; by how many of them:")
    print(f"  {'':24} told  called false  second opinion: not so  not told")
    for code in sorted(told.keys() | missed.keys(), key=lambda code: -told[code]):
        second = f"{alone[code]:22} {missed[code]:9}" if code in JUDGED else f"{'-':>22} {'-':>9}"
        print(f"  {code:24} {told[code]:4} {false[code]:13} {second}")


def public(cache: Path, *, verbose: bool) -> None:
    """Letters from package registries."""
    pages = [(name, html, message(html)) for name, html in public_pages(cache)]
    print("public letters, sent as newsletters")
    judged(((name, raw, Purpose()) for name, _, raw in pages), verbose=verbose)
    tried = hit = 0
    for _, html, raw in pages:
        for code, bad in spoiled(html, raw):
            tried += 1
            hit += code in {one.code for one in lint(bad)}
    print(f"  broken {tried} times, found {hit}")
    print("public mails, bulk where they say so")
    mails = public_mails(cache)
    judged(((name, raw, Purpose(bulk=looks_bulk(raw))) for name, raw in mails), verbose=verbose)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("directories", nargs="*", type=Path)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--public", type=Path, metavar="CACHE")
    given = parser.parse_args()
    own(verbose=given.verbose)
    if given.public is not None:
        public(given.public, verbose=given.verbose)
    for folder in given.directories:
        foreign(folder, verbose=given.verbose)


if __name__ == "__main__":
    main()
