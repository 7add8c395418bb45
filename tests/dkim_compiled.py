"""Compiles what signs, as an installation does, from a copy of the tree."""

import os
import shlex
import shutil
import sysconfig
from pathlib import Path

import hatch_build
import pytest

ROOT = Path(__file__).parent.parent


def copy_sources(root: Path) -> None:
    """Put all that is compiled where it belongs in another tree."""
    (root / hatch_build.PLACE).mkdir(parents=True)
    for source in (*hatch_build.SOURCES, hatch_build.HEADER):
        shutil.copy(ROOT / source, root / source)


def compile_copy(root: Path) -> Path:
    """Compile a copy of the tree; return the library."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if shutil.which(shlex.split(compiler)[0]) is None:
        pytest.skip(f"no compiler here: {compiler}")
    copy_sources(root)
    assert hatch_build.compile_batch(root) == ""
    return root / hatch_build.COMPILED
