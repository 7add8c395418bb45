"""The layout's rules, held over the syntax tree: pure rooms stay pure, imports run one way."""

import ast
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "ekiden"

# A module may import from its own layer's left neighbours only: lower index, or the same room.
LAYERS: list[set[str]] = [
    {"errors", "limits"},
    {"text", "networks", "localtime", "disk", "slices"},
    {"config", "smtp", "dkim"},  # message asks dkim for the canonical form of constant parts
    {"message", "bounce", "shaping"},
    {"store", "smtpd"},
    {"queue", "lists", "templates"},
    {"events", "spool", "check", "sink", "inbound"},
    {"engine"},
    {"control"},
    {"web"},
    {"settings"},
    {"preview", "duties"},
    {"forecast"},
    {"assembly"},
    {"app"},
    {"daemon"},
    {"cli"},
    {"__main__"},
]
PURE_ROOMS = ("smtp", "message", "dkim", "bounce", "shaping")
PURE_FILES = (
    "engine/scheduler.py",
    "engine/schedule/counting.py",
    "engine/schedule/coarse.py",
    "engine/schedule/explain.py",
    "engine/schedule/facts.py",
    "engine/schedule/gates.py",
    "engine/schedule/lines.py",
    "engine/schedule/loading.py",
    "engine/schedule/overflow.py",
    "engine/schedule/places.py",
    "engine/schedule/reacting.py",
    "engine/schedule/resolving.py",
    "engine/schedule/roads.py",
    "engine/schedule/serving.py",
    "engine/schedule/slots.py",
    "engine/schedule/state.py",
    "engine/schedule/sticking.py",
    "engine/schedule/turns.py",
    "engine/schedule/ways.py",
    "engine/schedule/works.py",
    "engine/decide.py",
    "check/domains.py",
    "check/model.py",
    "check/questions.py",
    "check/signatures.py",
    "check/sources.py",
    "check/spf.py",
    "events/ses.py",
    "forecast/coarse.py",
    "forecast/estimate.py",
    "forecast/model.py",
    "forecast/simulate.py",
    "forecast/watching.py",
    "forecast/words.py",
    "lists/agents.py",
    "lists/model.py",
    "spool/advice.py",
    "spool/content.py",
    "spool/encodings.py",
    "spool/formats.py",
    "spool/formats_eml.py",
    "spool/jobspec.py",
    "spool/keys.py",
    "spool/recipients/__init__.py",
    "spool/recipients/csvrows.py",
    "spool/recipients/decoding.py",
    "spool/recipients/files.py",
    "spool/recipients/forbidden.py",
    "spool/recipients/header.py",
    "spool/recipients/lines.py",
    "spool/recipients/model.py",
    "spool/recipients/objects.py",
    "spool/recipients/packing.py",
    "spool/recipients/table.py",
    "spool/values.py",
    "spool/values_parts.py",
    "templates/model.py",
    "localtime.py",
    "text.py",
    "errors.py",
)
IMPURE = {"asyncio", "socket", "sqlite3", "aiosqlite", "time", "random", "secrets", "ssl", "select"}
DRIVERS = {"sqlite3", "aiosqlite"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).as_posix(), path


@functools.cache
def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, (
                f"{path}: imports are absolute, so that they can be searched for"
            )
            base = node.module or ""
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def room(name: str) -> str:
    """`ekiden.queue.store` and `queue/store.py` are both in the room `queue`."""
    parts = name.removeprefix("ekiden.").split(".") if "/" not in name else name.split("/")
    return parts[0].removesuffix(".py")


def level(name: str) -> int | None:
    return next((index for index, layer in enumerate(LAYERS) if name in layer), None)


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_imports_run_one_way(name: str) -> None:
    mine = room(name)
    if mine == "__init__":
        return
    assert level(mine) is not None, f"{name}: give the room {mine!r} its layer in LAYERS"
    for target in imported(SOURCE / name):
        if not target.startswith("ekiden.") or target == "ekiden.__version__":
            continue
        other = room(target)
        if other in (mine, "__version__"):
            continue
        theirs, ours = level(other), level(mine)
        assert theirs is not None, f"{name} imports {target}, whose room has no layer"
        assert ours is not None
        assert theirs < ours, f"{name} (layer {ours}) imports {target} (layer {theirs})"


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_pure_modules_import_no_io(name: str) -> None:
    if room(name) not in PURE_ROOMS and name not in PURE_FILES:
        return
    roots = {target.split(".")[0] for target in imported(SOURCE / name)}
    assert not roots & IMPURE, f"{name} is pure: `now` and `jitter` are arguments"


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_the_database_driver_is_only_in_store(name: str) -> None:
    roots = {target.split(".")[0] for target in imported(SOURCE / name)}
    assert room(name) == "store" or not roots & DRIVERS


def test_the_page_tells_the_same_layers() -> None:
    page = (SOURCE.parent.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    told = page.partition("Imports run one way: ")[2].partition(".\n")[0]
    rooms = [set(one.strip(" `").split(", ")) for one in " ".join(told.split()).split("<")]
    assert rooms == LAYERS[:-1]  # the last is what `python -m ekiden` runs


@pytest.mark.parametrize("name", ["queue", "dkim"])
def test_room_names_do_not_shadow_libraries(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert SOURCE not in Path(spec.origin).parents
