"""`config.toml` and its page say what the program does."""

import re
from pathlib import Path

import msgspec

from ekiden.config import Config, example, keys, load, loads, reference, show

TOP = Path(__file__).parent.parent
AGAIN = "generate it again: python -m ekiden.config"


def test_the_example_is_current() -> None:
    assert (TOP / "config.toml").read_text(encoding="utf-8") == example(), AGAIN


def test_the_page_is_current() -> None:
    assert (TOP / "docs/configuration.md").read_text(encoding="utf-8") == reference(), AGAIN


def test_the_example_changes_nothing() -> None:
    assert load(TOP / "config.toml") == loads("", TOP / "config.toml")


def test_what_is_commented_out_is_valid_too() -> None:
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", example())
    config = loads(text, TOP / "config.toml")
    assert config.configuration_sets["newsletter"].pool == config.pools[0].name
    assert config.routes[0].password_file == TOP / "relay.password"
    assert config.dkim.keys[0].expire == 14 * 86_400.0


def sections(section: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    inner = [field.section for field in keys.fields(section) if field.section]
    return [section, *(below for one in inner for below in sections(one))]


def test_every_key_is_in_the_example_and_explained() -> None:
    text = example()
    for section in sections(Config):
        assert section.__doc__
        for field in keys.fields(section):
            assert field.key.doc.endswith("."), (section, field.name)
            assert not field.key.why or field.key.why.endswith("."), (section, field.name)
            if section is not Config and field.section is None:
                assert re.search(rf"(?m)(^#?|[{{,] ){field.name} = ", text), (section, field.name)


def test_what_is_shown_loads_as_the_same() -> None:
    text = re.sub(r"(?m)^#(?=[a-z\[])", "", example())
    config = loads(text, TOP / "config.toml")
    assert loads(show(config), Path("/elsewhere/config.toml")) == config
    odd = loads('[configuration_set."a \\"b\\u2028"]\n', TOP / "config.toml")
    assert loads(show(odd), Path("/elsewhere/config.toml")) == odd
