"""The comparison as a picture: a bar per line, in SVG."""

import statistics
from collections.abc import Sequence
from html import escape

from bench.ours import Ekiden
from bench.run import Result
from bench.table import label

_ROW, _LEFT, _WIDTH, _TOP = 24, 400, 460, 44
_OURS, _THEIRS = "#1a56a0", "#9aa5b1"


def chart(rounds: Sequence[Sequence[Result]], signing: Sequence[float]) -> str:
    """Return an SVG with the median rate of every line, and the least and the most as a whisker.

    Args:
        rounds: The results of each round, in the same order.
        signing: RSA-2048 signatures a second that two cores make, of each round.
    """
    columns = list(zip(*rounds, strict=True))
    most = max(result.rate for column in columns for result in column)
    height = _TOP + _ROW * len(columns) + 12
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 100}" '
            f'height="{height}" font-family="sans-serif" font-size="12">'
        ),
        (
            f'<text x="12" y="24" font-size="15">Messages a second; two cores sign '
            f"{statistics.median(signing):.0f} RSA-2048 a second</text>"
        ),
    ]
    for row, column in enumerate(columns):
        parts.append(_bar(column, _TOP + row * _ROW, _WIDTH / most))
    return "\n".join([*parts, "</svg>\n"])


def _bar(column: Sequence[Result], top: int, scale: float) -> str:
    rates = sorted(result.rate for result in column)
    middle = statistics.median(rates)
    colour = _OURS if column[0].sender == Ekiden.name else _THEIRS
    y = top + _ROW // 2
    low, high = _LEFT + rates[0] * scale, _LEFT + rates[-1] * scale
    return (
        f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(label(column[0]))}</text>'
        f'<rect x="{_LEFT}" y="{top + 4}" width="{middle * scale:.1f}" height="{_ROW - 8}" '
        f'fill="{colour}"/><line x1="{low:.1f}" y1="{y}" x2="{high:.1f}" y2="{y}" '
        f'stroke="#000"/><text x="{high + 6:.1f}" y="{y + 4}">{middle:.0f}</text>'
    )
