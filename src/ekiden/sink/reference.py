"""The tables of docs/sink.md, made from what the sink does. `python -m ekiden.sink.reference`.

A test compares the page with these tables, so that neither can drift.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ekiden.sink.behaviours import BEHAVIOURS, Do
from ekiden.sink.profiles import load_profiles

_STAGES: Final = {
    Do.ACCEPT: "-",
    Do.SLOW: "-",
    Do.REFUSE_BODY: "after the dot",
    Do.DROP: "after the dot",
    Do.RAW_BODY: "after the dot",
}


def behaviours() -> str:
    """Return the table of behaviours."""
    rows = ["| local part | decided at | what the sink does |", "|---|---|---|"]
    rows += [
        f"| `{row.name}` | {_STAGES.get(row.do, 'RCPT')} | {row.doc} |"
        for row in BEHAVIOURS.values()
    ]
    return "\n".join(rows)


def profiles() -> str:
    """Return the table of the providers' numbers."""
    titles = "profile plays domains sessions messages recipients rate size TLS extensions source"
    names = titles.split()
    rows = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for one in load_profiles().values():
        rate = f"{one.rate:g}/s" if one.rate else "-"
        cells = (
            f"`{one.name}`",
            one.title,
            " ".join(f"`{glob}`" for glob in one.domains),
            one.sessions,
            one.messages,
            one.recipients,
            rate,
            f"{one.size / 1024**2:g} MiB",
            one.tls,
            " ".join(one.extensions),
            one.source,
        )
        rows.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(rows)


def words() -> str:
    """Return the table of the providers' words; what is as in `generic` is left out."""
    loaded = load_profiles()
    rows = ["| profile | occasion | reply | read in |", "|---|---|---|---|"]
    for one in loaded.values():
        for occasion, said in one.replies.items():
            if one.name != "generic" and said == loaded["generic"].replies.get(occasion):
                continue
            reply = said.reply.replace("|", "\\|").replace("\n", "` `")
            rows.append(f"| {one.name} | {occasion} | `{reply}` | {said.source} |")
    return "\n".join(rows)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "behaviours": behaviours,
    "profiles": profiles,
    "words": words,
}


def filled(page: str) -> str:
    """Return a page with its tables, which stand between `<!-- NAME -->` and `<!-- end -->`."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- end -->",
        lambda found: f"<!-- {found.group(1)} -->\n{TABLES[found.group(1)]()}\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
