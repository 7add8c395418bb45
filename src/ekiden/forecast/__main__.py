"""`python -m ekiden.forecast`: facts and a job in on standard input, a forecast out.

The daemon asks for estimates this way: in a process of their own they hold up no mail.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from ekiden.config import load as load_config
from ekiden.forecast.estimate import estimate
from ekiden.forecast.model import Facts, Load


class Asked(msgspec.Struct, kw_only=True):
    """What is asked. `config` is the configuration file's path; "" for the defaults."""

    config: str
    facts: Facts
    load: Load
    search: bool = True


def main() -> None:
    """Answer one question."""
    with suppress(OSError):
        os.nice(10)
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    config = load_config(Path(asked.config))
    found = estimate(config, asked.facts, asked.load, search=asked.search)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
