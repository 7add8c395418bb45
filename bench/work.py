"""The work that every sender is given: N personalised messages of one size to D destinations."""

import csv
import io
import json
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

DOMAIN: Final = "sender.example"
SENDER: Final = f"news@{DOMAIN}"
FIELDS: Final = ("name", "company", "city", "points", "code")
_LINE: Final = (
    "The relay passes through the old town, along the river and up to the pass at noon.\n"
)
_CITIES: Final = ("Tokyo", "Osaka", "Nagoya", "Sapporo", "Fukuoka")


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be sent.

    Args:
        messages: How many.
        size: Bytes of one message, nearly.
        destinations: How many domains, each with a host of its own.
        algorithm: "rsa", "ed25519" or "" for no signature.
    """

    messages: int
    size: int = 4096
    destinations: int = 20
    algorithm: str = "rsa"

    @property
    def label(self) -> str:
        """What the work is called in tables."""
        signed = {"rsa": "RSA-2048", "ed25519": "Ed25519", "": "unsigned"}[self.algorithm]
        return f"{self.size // 1024} KB, {self.destinations} destinations, {signed}"


def destination(number: int) -> str:
    """Return the name of a destination."""
    return f"d{number}.bench.example"


def address(number: int) -> str:
    """Return the loopback address of a destination's host: each has one of its own."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


def row(number: int, destinations: int) -> tuple[str, ...]:
    """Return a recipient: the address, then the merge fields."""
    return (
        f"reader{number}@{destination(number % destinations)}",
        f"Reader {number}",
        f"Company {number % 977}",
        _CITIES[number % len(_CITIES)],
        str(number % 10_000),
        f"EK-{number:08d}",
    )


def templates(size: int) -> tuple[str, str]:
    """Return the text and the HTML template whose message is about `size` bytes."""
    room = max(0, size - 1000) // 2
    lines = _LINE * (room // len(_LINE))
    text = (
        "Dear {{ name }} of {{ company }},\n\n"
        f"{lines}\n"
        "Your {{ points }} points wait for you in {{ city }}; your code is {{ code }}.\n"
    )
    paragraphs = "".join(f"<p>{line.strip()}</p>\n" for line in lines.splitlines())
    html = (
        "<!DOCTYPE html>\n<html><body>\n<h1>Dear {{ name }} of {{ company }}</h1>\n"
        f"{paragraphs}"
        "<p>Your {{ points }} points wait for you in {{ city }};\n"
        'your code is <a href="https://sender.example/c/{{ code }}">{{ code }}</a>.</p>\n'
        "</body></html>\n"
    )
    return text, html


def subject() -> str:
    """Return the subject's template."""
    return "{{ name }}, the relay starts in {{ city }}"


def recipients_csv(work: Work) -> str:
    """Return the recipients as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("email", *FIELDS))
    writer.writerows(row(number, work.destinations) for number in range(work.messages))
    return out.getvalue()


def job_toml() -> str:
    """Return the job file that goes with `templates` and `recipients_csv`."""
    return (
        f"from = {json.dumps(f'Ekiden <{SENDER}>')}\nsubject = {json.dumps(subject())}\n"
        'text = "body.txt"\nhtml = "body.html"\nrecipients = "recipients.csv"\n'
        'address = "email"\n'
    )


class Maker:
    """Makes whole messages, as a program that hands them to a mailer would have them ready."""

    def __init__(self, work: Work) -> None:
        message = EmailMessage(policy=SMTP)
        message["From"] = f"Ekiden <{SENDER}>"
        message["To"] = "{{ recipient }}"
        message["Subject"] = subject()
        message["Date"] = "Mon, 01 Dec 2025 09:00:00 +0900"
        message["Message-ID"] = "<CODE@sender.example>"  # a space would be folded
        text, html = templates(work.size)
        message.set_content(text, cte="7bit")
        message.add_alternative(html, subtype="html", cte="7bit")
        whole = message.as_bytes().replace(b"<CODE@", b"<{{ code }}@")
        self._pieces: list[bytes | int] = []
        names = {f"{name} }}}}".encode(): at for at, name in enumerate(("recipient", *FIELDS))}
        first, *others = whole.split(b"{{ ")
        self._pieces.append(first)
        for piece in others:
            name = next(name for name in names if piece.startswith(name))
            self._pieces += [names[name], piece[len(name) :]]
        self._destinations = work.destinations

    def make(self, number: int) -> tuple[str, bytes]:
        """Return the recipient and the message, CRLF line ends."""
        values = row(number, self._destinations)
        encoded = [value.encode() for value in values]
        pieces = (encoded[p] if isinstance(p, int) else p for p in self._pieces)
        return values[0], b"".join(pieces)
