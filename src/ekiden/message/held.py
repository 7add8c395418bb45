"""Tags of the template language taken out of the way while the HTML around them is worked on. Pure.

Each becomes a character of private use with its number, and is put back afterwards. Found by
searching for the ends, not by a pattern, so that unclosed ones cost no more than their length.
"""

import re
from typing import Final

_OPEN, _CLOSE = "\U0010fff4", "\U0010fff5"  # private use, plane 16: in no template
_HELD: Final = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_ENDS: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
_BEGIN: Final = re.compile(r"\{[{%#]")


class Held:
    """A template without its tags.

    Args:
        template: The template.

    Attributes:
        text: The template, its tags replaced.
        tags: The tags, by number.
        clean: It held none of the characters that stand for tags.
    """

    def __init__(self, template: str) -> None:
        self.tags: list[str] = []
        self.clean = _OPEN not in template and _CLOSE not in template
        self.text = self._take(template) if self.clean else template

    def _take(self, template: str) -> str:
        made: list[str] = []
        at = 0
        unclosed: set[str] = set()
        for found in _BEGIN.finditer(template):
            mark = found.group()
            if found.start() < at or mark in unclosed:
                continue
            end = template.find(_ENDS[mark], found.end())
            if end < 0:
                unclosed.add(mark)
                continue
            end += 2
            made += (template[at : found.start()], f"{_OPEN}{len(self.tags)}{_CLOSE}")
            self.tags.append(template[found.start() : end])
            at = end
        made.append(template[at:])
        return "".join(made)

    def within(self, text: str) -> list[str]:
        """Return the tags in a piece of the text."""
        return [self.tags[int(found[1])] for found in _HELD.finditer(text)]

    def put_back(self, text: str) -> str:
        """Return text with the tags in it again."""
        return _HELD.sub(lambda found: self.tags[int(found[1])], text)
