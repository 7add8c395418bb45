"""The line of every key, for a text that tomllib accepts, and no crash on any other."""

import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ekiden.config.locate import line_of, locate

TEXT = '''\
# a comment with key = 1
top = 1
[spool]
directory = "a # b"   # c = 2
owners = [
  "one",  # d = 3
  "]",
]
[[route]]
pattern = """
not = "a key"
[nor.a.table]
"""
host = 'x = ['
[[route]]
pattern = "b"
limits.rates = [ "1/s" ]
[dkim]
[[dkim.key]]
domain = "a"
[[dkim.key]]
domain = "b"
inline = { first = "5m", "factor" = 2, deep = { x = [1, 2,
  3] } }
["configuration_set"."a b"]
pool = "p"
'''


def test_every_key_has_its_line() -> None:
    tomllib.loads(TEXT)
    lines = locate(TEXT)
    assert lines == {
        ("top",): 2,
        ("spool",): 3,
        ("spool", "directory"): 4,
        ("spool", "owners"): 5,
        ("spool", "owners", 0): 6,
        ("spool", "owners", 1): 7,
        ("route",): 9,
        ("route", 0): 9,
        ("route", 0, "pattern"): 10,
        ("route", 0, "host"): 14,
        ("route", 1): 15,
        ("route", 1, "pattern"): 16,
        ("route", 1, "limits"): 17,
        ("route", 1, "limits", "rates"): 17,
        ("route", 1, "limits", "rates", 0): 17,
        ("dkim",): 18,
        ("dkim", "key"): 19,
        ("dkim", "key", 0): 19,
        ("dkim", "key", 0, "domain"): 20,
        ("dkim", "key", 1): 21,
        ("dkim", "key", 1, "domain"): 22,
        ("dkim", "key", 1, "inline"): 23,
        ("dkim", "key", 1, "inline", "first"): 23,
        ("dkim", "key", 1, "inline", "factor"): 23,
        ("dkim", "key", 1, "inline", "deep"): 23,
        ("dkim", "key", 1, "inline", "deep", "x"): 23,
        ("dkim", "key", 1, "inline", "deep", "x", 0): 23,
        ("dkim", "key", 1, "inline", "deep", "x", 1): 23,
        ("dkim", "key", 1, "inline", "deep", "x", 2): 24,
        ("configuration_set", "a b"): 25,
        ("configuration_set", "a b", "pool"): 26,
    }


def test_the_nearest_line_stands_in() -> None:
    lines = locate(TEXT)
    assert line_of(lines, ("route", 1, "host")) == 15
    assert line_of(lines, ("nothing",)) == 0


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [p for key, one in value.items() for p in [(*path, key), *paths(one, (*path, key))]]
    if isinstance(value, list):
        return [p for at, one in enumerate(value) for p in paths(one, (*path, at))]
    return []


keys = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=6)
scalars = st.integers(-9, 9) | st.booleans() | st.text(st.characters(codec="ascii"), max_size=8)
values = scalars | st.lists(scalars, max_size=3)


@given(st.dictionaries(keys, st.dictionaries(keys, values, max_size=3), max_size=3))
def test_every_path_of_a_generated_file_is_found(tables: dict[str, dict[str, Any]]) -> None:
    lines = []
    for table, content in tables.items():
        lines.append(f"[{json.dumps(table)}]")
        lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in content.items()]
    text = "\n".join(lines).replace("\\u007f", "\x7f").replace("\x7f", "\\u007f")
    found = locate(text)
    for path in paths(tomllib.loads(text)):
        assert path in found
    for path, line in found.items():
        if len(path) == 2:
            assert lines[line - 1].startswith(json.dumps(path[1]))


@given(st.text(alphabet="[]{}=\"'\\#.,\n a1", max_size=40))
def test_any_text_ends_and_never_crashes(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert all(1 <= line <= text.count("\n") + 1 for line in locate(text).values())
