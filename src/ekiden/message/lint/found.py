"""Where the checks write what they find. Pure."""

from collections import Counter
from typing import Final

from ekiden.message.lint.model import Finding, LintOptions, excerpt
from ekiden.message.lint.rules import RULES

SAME_MOST: Final = 10  # findings of one rule that are told one by one


class Found:
    """Collects findings, each once, a few of each rule.

    Args:
        options: What is looked for.
    """

    def __init__(self, options: LintOptions) -> None:
        self.options = options
        self._kept: dict[Finding, None] = {}
        self._times: Counter[str] = Counter()

    def add(self, code: str, where: str, what: str = "") -> None:
        """Add a finding.

        Args:
            code: The rule.
            where: The part, and the line or field in it.
            what: What is wrong here, if the rule's own words do not say it all.
        """
        rule = RULES[code]
        severity = self.options.severities.get(code, rule.severity)
        if severity is None:
            return
        one = Finding(code, severity, where, what or rule.what, rule.remedy, rule.source)
        if one in self._kept:
            return
        self._times[code] += 1
        if self._times[code] <= SAME_MOST:
            self._kept[one] = None

    def all(self) -> list[Finding]:
        """Return what was found, in the order it was."""
        kept = list(self._kept)
        for code, times in self._times.items():
            if times > SAME_MOST:
                last = next(one for one in reversed(kept) if one.code == code)
                more = f"and {times - SAME_MOST} more of these"
                kept.append(Finding(code, last.severity, "", more, last.remedy, last.source))
        return kept


def quoted(text: str, cap: int = 60) -> str:
    """Return a piece of a message in quotes, fit for one line."""
    return f"“{excerpt(text, cap)}”"
