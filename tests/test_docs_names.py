"""What the pages name is there: commands with their options, keys, programs, targets, pages."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ekiden.cli.main import build
from ekiden.config import BadConfigError, Config, loads
from ekiden.config.keys import fields

TOP = Path(__file__).parent.parent
PAGES = [*sorted((TOP / "docs").glob("*.md")), *sorted(TOP.glob("*.md")), TOP / "bench/README.md"]
SECTIONS = {one.name: one.section for one in fields(Config)}
COMMANDS: Any = typer.main.get_command(build())
NO_KEYS = {"py", "sql", "toml", "jsonl", "de"}  # files, and a provider: `web.de`
BLOCK = re.compile(r"(?m)^```(\w*)\n(.*?)^```", re.DOTALL)


def pages(*but: str) -> pytest.MarkDecorator:
    """Each page of its own, by name."""
    kept = [page for page in PAGES if page.name not in but]
    return pytest.mark.parametrize(
        "text", [page.read_text("utf-8") for page in kept], ids=[page.name for page in kept]
    )


def snippets(text: str) -> Iterator[str]:
    """Code in the line, and lines of code; a comment or a pipe ends one."""
    for _, block in BLOCK.findall(text):
        yield from (re.split(r"\s#|\s\||&&|;", line)[0] for line in block.splitlines())
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
        yield code.replace("\\|", "|")


def wrong(snippet: str) -> str:
    """What a command line has that no command has; "" for nothing."""
    command = COMMANDS
    words = re.sub(r"[\[\]|]", " ", snippet.removeprefix("$ ")).split()[1:]
    while words and hasattr(command, "commands") and re.fullmatch(r"[a-z-]+", words[0]):
        if (inner := command.commands.get(words[0])) is None:
            return "" if command.invoke_without_command else words[0]
        command, words = inner, words[1:]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    asked = [word.partition("=")[0] for word in words if word.startswith("--")]
    return next((one for one in asked if one not in {*known, "--help"}), "")


@pages("CHANGELOG.md")
def test_commands_and_their_options(text: str) -> None:
    said = [one for one in snippets(text) if re.match(r"(\$ )?ekiden (?!runs )[a-z-]", one)]
    assert {one: found for one in said if (found := wrong(one))} == {}


@pages()
def test_keys_of_the_configuration(text: str) -> None:
    for section, key in re.findall(r"`([a-z_]+)\.([a-z_]+)`", text):
        if (shape := SECTIONS.get(section)) is not None and key not in NO_KEYS:
            assert key in {one.name for one in fields(shape)}, f"{section}.{key}"


def unknown(block: str) -> list[str]:
    """Keys of a configuration that there are none of; a piece may name what stands elsewhere."""
    try:
        loads(block, Path("page.toml"))
    except BadConfigError as error:
        return [one.key for one in error.problems if "no such key" in one.what]
    return []


@pages()
def test_configurations_have_keys_that_are_there(text: str) -> None:
    for kind, block in BLOCK.findall(text):
        if kind == "toml" and set(tomllib.loads(block)) <= set(SECTIONS):
            assert unknown(block) == []


@pages()
def test_programs_targets_and_pages(text: str) -> None:
    for name in re.findall(r"python -m (bench\.\w+|ekiden\.\w+(?:\.\w+)*)", text):
        assert importlib.util.find_spec(name) is not None, name
    made = (TOP / "Makefile").read_text("utf-8")
    for found in filter(None, (re.match(r"make ([a-z]+)", one) for one in snippets(text))):
        assert f"\n{found[1]}:" in made, found[0]
    for page in re.findall(r"\b(docs/[a-z-]+\.md)\b", text):
        assert (TOP / page).is_file(), page


def test_the_first_steps_are_a_configuration_and_a_job() -> None:
    text = (TOP / "docs" / "first-steps.md").read_text("utf-8")
    config, job = [block for kind, block in BLOCK.findall(text) if kind == "toml"]
    assert loads(config, Path("try.toml")).routes[0].port == 2525
    assert tomllib.loads(job)["recipients"] == "people.csv"
