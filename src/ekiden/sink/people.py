"""The people of the demo's world: 2,000 addresses with names, the same ones every time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

FAMILY: Final = (
    ("sato", "佐藤"), ("suzuki", "鈴木"), ("takahashi", "高橋"), ("tanaka", "田中"),
    ("ito", "伊藤"), ("watanabe", "渡辺"), ("yamamoto", "山本"), ("nakamura", "中村"),
    ("kobayashi", "小林"), ("kato", "加藤"), ("yoshida", "吉田"), ("yamada", "山田"),
    ("sasaki", "佐々木"), ("matsumoto", "松本"), ("inoue", "井上"), ("kimura", "木村"),
    ("hayashi", "林"), ("shimizu", "清水"), ("saito", "斎藤"),
)  # fmt: skip
GIVEN: Final = (
    ("yuki", "由紀"), ("haruto", "陽翔"), ("aoi", "葵"), ("ren", "蓮"), ("sakura", "さくら"),
    ("sota", "颯太"), ("hina", "陽菜"), ("daiki", "大輝"), ("mio", "澪"), ("kaito", "海斗"),
    ("rin", "凛"), ("takumi", "拓海"), ("nanami", "七海"),
)  # fmt: skip
FOREIGN: Final = (
    ("alice", "Alice"), ("zoe", "Zoë"), ("liam", "Liam"), ("noor", "Noor"), ("jose", "José"),
    ("maya", "Maya"), ("oskar", "Oskar"),
)  # fmt: skip
SURNAMES: Final = (
    ("baker", "Baker"), ("oconnor", "O'Connor"), ("muller", "Müller"), ("silva", "Silva"),
    ("novak", "Novák"),
)  # fmt: skip

# Of 250 people, these places in the row have an address that behaves oddly. 86 % just work.
ODD: Final = {
    3: "bounce", 47: "bounce", 93: "bounce", 141: "bounce", 187: "bounce", 233: "bounce",
    11: "greylist", 61: "greylist", 111: "greylist", 161: "greylist", 211: "greylist",
    17: "mailboxfull", 127: "mailboxfull",
    23: "tempfail-once", 83: "tempfail-once", 143: "tempfail-once", 203: "tempfail-once",
    31: "filtered", 151: "filtered",
    37: "slow", 157: "slow",
    71: "tempfail",
}  # fmt: skip
_CYCLE: Final = 250


@dataclass(frozen=True, slots=True)
class Person:
    """One recipient of the demo's campaign.

    Args:
        address: Where the newsletter goes.
        name: As it stands in the greeting.
        language: `ja` or `en`.
        points: For the merge data.
        behaviour: What the mailbox does; a key of `BEHAVIOURS`.
    """

    address: str
    name: str
    language: str
    points: int
    behaviour: str


def people(seats: Iterator[str]) -> Iterator[Person]:
    """Yield a person for each seat (a destination), in order.

    Args:
        seats: The destination of each.
    """
    for number, domain in enumerate(seats):
        foreign = number % 4 == 3
        families, givens = (SURNAMES, FOREIGN) if foreign else (FAMILY, GIVEN)
        family, family_shown = families[number % len(families)]
        given, given_shown = givens[(number // 3) % len(givens)]
        name = f"{given_shown} {family_shown}" if foreign else f"{family_shown} {given_shown}"
        behaviour = ODD.get(number % _CYCLE, "success")
        person = f"{given}.{family}.{number}"
        yield Person(
            address=f"{person if behaviour == 'success' else f'{behaviour}+{person}'}@{domain}",
            name=name,
            language="en" if foreign else "ja",
            points=(number * 37) % 5000,
            behaviour=behaviour,
        )
