"""What strangers write gives an answer or a typed error, at once, from every parser.

`python -m bench.hostile` does the same with ten million bytes of each shape.
"""

import pytest
from bench.hostile import PARSERS, WORST, torment


@pytest.mark.parametrize("name", PARSERS)
def test_hostile_bytes_are_answered(name: str) -> None:
    score = torment(name, PARSERS[name], 100_000)
    assert score.faults == []
    assert score.slowest < WORST
    assert score.fed > 4_000_000
