"""`python -m ekiden.config DIRECTORY` writes config.toml and docs/configuration.md again."""

import sys
from pathlib import Path

from ekiden.config.render import example, reference

if __name__ == "__main__":
    top = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (top / "config.toml").write_text(example(), encoding="utf-8")
    (top / "docs").mkdir(exist_ok=True)
    (top / "docs" / "configuration.md").write_text(reference(), encoding="utf-8")
