"""Compiles src/ekiden/dkim/*.c when Ekiden is built or installed, where there is a compiler.

Without one the package is the same but for the speed of signing (src/ekiden/dkim/batch.py). Run
directly, `python hatch_build.py` compiles into the source tree.

Beside them it makes four empty libraries. libcrypto_mb (src/ekiden/dkim/lanes.py) as Intel's
package brings it names the libraries of Intel's compiler, 130 MB that are not free, and calls
nothing of theirs. With these in their places the dynamic linker is content, and would still refuse
a libcrypto_mb that does call them.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface as Hook
except ImportError:  # run directly
    Hook = object

PLACE = Path("src/ekiden/dkim")
SOURCES = tuple(PLACE / name for name in ("batch.c", "lanes.c", "crew.c"))
HEADER = PLACE / "signing.h"
COMPILED = PLACE / "_batch.so"
STAND_INS = PLACE / "_stand_ins"
STOOD_IN_FOR = ("libimf.so", "libintlc.so.5", "libirng.so", "libsvml.so")


def compile_batch(root: Path) -> str:
    """Compile what signs, and return what went wrong; "" for nothing.

    Args:
        root: The source tree.
    """
    return compile_library(root / COMPILED, [root / source for source in SOURCES])


def make_stand_ins(root: Path) -> str:
    """Make the empty libraries where they are of use, and return what went wrong; "" for nothing.

    Args:
        root: The source tree.
    """
    if not sys.platform.startswith("linux"):
        return ""
    (root / STAND_INS).mkdir(parents=True, exist_ok=True)
    for name in STOOD_IN_FOR:
        options = ["-xc", os.devnull, f"-Wl,-soname,{name}"]
        if wrong := compile_library(root / STAND_INS / name, options):
            return wrong
    return ""


def compile_library(library: Path, sources: Sequence[str | Path]) -> str:
    """Compile one library, and return what went wrong; "" for nothing.

    Args:
        library: What is made.
        sources: Of what; options of the compiler, too.
    """
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    made = library.with_suffix(".new")  # a daemon may have the old one open
    command = [*shlex.split(compiler), "-O2", "-shared", "-fPIC", "-pthread"]
    command += ["-o", str(made), *map(str, sources)]
    try:
        # The compiler is the one who installs it has chosen.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return str(error)
    if done.returncode:
        return done.stderr.strip() or f"{compiler} ended with {done.returncode}"
    made.replace(library)
    return ""


class CompileBatch(Hook):  # type: ignore[misc]  # hatchling is there in its own builds only
    """Puts the compiled file into the wheel, which is then one for this kind of machine."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together.

        Args:
            version: "standard" or "editable"; both want it.
            build_data: What hatchling is told.
        """
        del version
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        if wrong := compile_batch(root):
            self.app.display_warning(f"messages will be signed one by one: {wrong}")
            return
        if wrong := make_stand_ins(root):
            self.app.display_warning(f"RSA signatures will not be made eight at a time: {wrong}")
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"] += [f"/{COMPILED.as_posix()}", f"/{STAND_INS.as_posix()}/*"]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"  # it calls nothing of Python's


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.exit(compile_batch(here) or make_stand_ins(here) or 0)
