"""The shipped unit: hardened, and nothing taken away that the daemon needs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parent.parent / "packaging" / "ekiden.service"


def values(key: str) -> list[str]:
    """All that the unit gives a key, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def test_the_ledger_may_know_the_boot() -> None:
    assert values("ProcSubset") in ([], ["all"])
    assert values("ProtectKernelTunables") == ["yes"]  # what can be read there cannot be written


def test_signing_threads_may_lower_their_own_priority() -> None:
    denied = False
    for value in values("SystemCallFilter"):  # the later line wins
        if value.startswith("~") and "@resources" in value:
            denied = True
        if "setpriority" in value and not value.startswith("~"):
            denied = False
    assert not denied


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd here")
    # The program of this machine in place of the installed one, which need not be there.
    text = re.sub(
        r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text("utf-8"), flags=re.MULTILINE
    )
    (tmp_path / "ekiden.service").write_text(text, "utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / "ekiden.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
