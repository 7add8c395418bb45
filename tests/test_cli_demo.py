"""The demo's tables: readable on the narrowest terminal that people use."""

import asyncio
import sys
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from ekiden.cli import demo_show
from ekiden.cli.demo_show import Outcome, Tally
from ekiden.errors import UnavailableError
from ekiden.sink.demo import make_demo
from ekiden.sink.world import build_world

TITLES = tuple(build_world(25, recipients=60).titles.values())


def shown(table: Table) -> str:
    console = Console(width=80, file=StringIO())
    with console.capture() as captured:
        console.print(table)
    text = captured.get()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    return text


def test_the_progress_fits_into_80_columns() -> None:
    busy = Tally(12_345, 2_345, 20, Counter(delivered=123_456, bounced=7_890, expired=12))
    table = demo_show._progress(dict.fromkeys(TITLES, busy), 59.6)
    text = shown(table)
    for name in ("waiting", "deferred", "delivered", "bounced", "sessions", *TITLES):
        assert name in text
    assert len(text.splitlines()) < 24


def test_the_summary_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    fates = {title: Counter(delivered=1_000_000, suppressed=3) for title in TITLES}
    outcome = Outcome(fates, [], 0, 31.4, Path("demo-run"), 67)
    text = shown(demo_show._summary(outcome))
    assert "suppressed" in text
    assert f"{1_000_003 * len(TITLES)}" in text
    demo_show.print_outcome(outcome, as_json=False)
    assert "67 destinations, 31 s: all final" in capsys.readouterr().out


async def test_a_daemon_that_ends_is_noticed_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = await asyncio.to_thread(make_demo, tmp_path / "run", recipients=60)
    (demo.directory / "daemon.log").write_text("first\nlast words\x1b[2J\n")
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await daemon.wait()
    with pytest.raises(UnavailableError, match="did not start"):
        await asyncio.wait_for(demo_show._connect(demo, daemon), 5)
    assert capsys.readouterr().err == "  first\n  last words\\x1b[2J\n"
