"""How text looks: its size, and its colour on what is behind it, as far as inline styles say. Pure.

Style sheets are not read. Where one may have its say, nothing is claimed of colours.
"""

import re
from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]

LEGIBLE: Final = 9.0  # px; below that browsers themselves offer to enlarge
_NORMAL: Final = 16.0  # px, the size that a page begins with
_ALIKE: Final = 16  # of 255 in each channel: nobody tells them apart
_SIZE: Final = re.compile(
    r"(?:^|;)\s*font-size\s*:\s*(\d*\.?\d+)\s*(px|pt|em|rem|%)?", re.IGNORECASE
)
_COLOUR: Final = re.compile(r"(?:^|;)\s*color\s*:\s*([^;!]+)", re.IGNORECASE)
_GROUND: Final = re.compile(r"(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]+)", re.IGNORECASE)
_HEX: Final = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_RGB: Final = re.compile(r"rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)", re.IGNORECASE)
_BLACK: Final = (0, 0, 0)
_WHITE: Final = (255, 255, 255)
_LINK: Final = (0, 0, 238)  # HTML section 15.3.4: what is not said otherwise
_NAMED: Final = {"white": _WHITE, "black": _BLACK}


@dataclass(frozen=True, slots=True)
class Look:
    """How text looks in an element.

    Args:
        size: px.
        colour: Of the text; None if that is not known.
        ground: What is behind it; None likewise.
        styled: Whether the page has a style sheet.
    """

    size: float = _NORMAL
    colour: Colour | None = _BLACK
    ground: Colour | None = _WHITE
    styled: bool = False

    @property
    def faint(self) -> str:
        """Why it is hard to see; "" if it is not."""
        if self.size < LEGIBLE:
            return f"in type of {self.size:.3g}px"
        if self.colour is None or self.ground is None:
            return ""
        apart = max(abs(one - other) for one, other in zip(self.colour, self.ground, strict=True))
        return "in the colour of its background" if apart <= _ALIKE else ""


def at_first(*, styled: bool) -> Look:
    """Return how text looks outside of everything.

    Args:
        styled: Whether the page has a style sheet.
    """
    return Look(colour=None, ground=None, styled=True) if styled else Look()


def inside(look: Look, tag: str, values: dict[str, str]) -> Look:
    """Return how text looks in an element.

    Args:
        look: How it looks around it.
        tag: The element.
        values: Its attributes.
    """
    style = values.get("style", "")
    open_to_sheets = look.styled and ("class" in values or "id" in values)
    colour, ground = look.colour, look.ground
    if tag == "a" and "href" in values:
        colour = None if look.styled else _LINK
    if found := _COLOUR.findall(style) or ([values["color"]] if "color" in values else []):
        colour = _read(found[-1])
    elif open_to_sheets:
        colour = None
    behind = _GROUND.findall(style) or ([values["bgcolor"]] if "bgcolor" in values else [])
    if "background" in values or "background-image" in style.lower():
        ground = None
    elif behind:
        ground = (
            ground if behind[-1].strip().lower() in {"transparent", "none"} else _read(behind[-1])
        )
    elif open_to_sheets:
        ground = None
    return Look(_size(look.size, style), colour, ground, look.styled)


def _size(around: float, style: str) -> float:
    found = _SIZE.findall(style)
    if not found:
        return around
    number, unit = float(found[-1][0]), found[-1][1].lower()
    scale = {"em": around, "%": around / 100, "rem": _NORMAL, "pt": 4 / 3}.get(unit, 1.0)
    return number * scale


def _read(text: str) -> Colour | None:
    text = text.strip().lower()
    if found := _HEX.fullmatch(text):
        digits = found[1] if len(found[1]) == 6 else "".join(2 * one for one in found[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if found := _RGB.fullmatch(text):
        return int(found[1]), int(found[2]), int(found[3])
    return _NAMED.get(text)
