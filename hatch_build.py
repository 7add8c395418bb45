"""Compiles src/ekiden/dkim/batch.c when Ekiden is built or installed, where there is a compiler.

Without one the package is the same but for the speed of signing (src/ekiden/dkim/batch.py). Run
directly, `python hatch_build.py` compiles it into the source tree.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface as Hook
except ImportError:  # run directly
    Hook = object

SOURCE = Path("src/ekiden/dkim/batch.c")
COMPILED = SOURCE.with_name("_batch.so")


def compile_batch(root: Path) -> str:
    """Compile, and return what went wrong; "" for nothing.

    Args:
        root: The source tree.
    """
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    made = (root / COMPILED).with_suffix(".new")  # a daemon may have the old one open
    command = [*shlex.split(compiler), "-O2", "-shared", "-fPIC"]
    command += ["-o", str(made), str(root / SOURCE)]
    try:
        # The compiler is the one who installs it has chosen.
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        return str(error)
    if done.returncode:
        return done.stderr.strip() or f"{compiler} ended with {done.returncode}"
    made.replace(root / COMPILED)
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
        wrong = compile_batch(Path(self.root))
        if wrong:
            self.app.display_warning(f"messages will be signed one by one: {wrong}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["artifacts"].append(f"/{COMPILED.as_posix()}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"  # it calls nothing of Python's


if __name__ == "__main__":
    sys.exit(compile_batch(Path(__file__).parent))
