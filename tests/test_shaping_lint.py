"""What never decides anything is found, and nothing else is."""

import tomllib

import pytest

from ekiden.shaping.lint import covers, of_patterns, of_providers
from ekiden.shaping.providers import Providers


@pytest.mark.parametrize(
    ("wide", "narrow", "held"),
    [
        ("*", "a.example", True),
        ("*", "*.example", True),
        ("a.example", "A.example.", True),
        ("*.example", "a.example", True),
        ("*.example", "*.a.example", True),
        ("*.example", "*.example", True),
        ("*.example", "example", False),
        ("a.example", "*.a.example", False),
        ("*.a.example", "*.example", False),
        ("*.ample", "a.example", False),
    ],
)
def test_what_a_pattern_covers(wide: str, narrow: str, held: bool) -> None:
    assert covers(wide, narrow) is held


def test_patterns_behind_a_wider_one_are_dead() -> None:
    found = [*of_patterns("route", ["a.example", "*.example", "b.example", "example"])]
    assert [(one.where, one.what) for one in found] == [
        ("route", '"b.example" never decides: "*.example" stands before it')
    ]


def test_shadowed_and_empty_providers_are_dead() -> None:
    providers = Providers.parse(
        tomllib.loads(
            """
            [wide]
            mx = [".example"]
            destinations = ["*.jp"]
            [narrow]
            mx = [".mx.example", "mx.elsewhere"]
            destinations = ["a.jp", "b.org"]
            [twice]
            mx = [".t.test", ".s.t.test"]
            [nobody]
            """
        ),
        "test",
    )
    assert [(one.where, one.what) for one in of_providers(providers)] == [
        ("narrow", 'mx ".mx.example" never decides: ".example" of wide does first'),
        ("narrow", 'destinations "a.jp" never decides: "*.jp" of wide does first'),
        ("twice", 'mx ".s.t.test" adds nothing to ".t.test"'),
        ("nobody", "has neither mx nor destinations: nothing matches it"),
    ]


def test_nothing_shipped_is_dead() -> None:
    assert [*of_providers(Providers.load())] == []
