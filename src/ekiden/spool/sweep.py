"""Old answers go away: jobs that ended long ago, and those that were refused.

A job in `done/` is old when its NAME.result.json is; one without a result is still being sent and
stays, however old. Blocking; the application calls it once an hour on a thread.
"""

import shutil
import stat
from typing import Final

from ekiden.spool.answers import ANSWERS, ERROR, RESULT
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.loading import ENDINGS

_PROOF: Final = {Folder.DONE: RESULT, Folder.FAILED: ERROR}


def sweep(spool: Spool, before: float) -> int:
    """Remove the jobs that ended before a time, with their answers.

    Args:
        spool: The spool.
        before: UNIX seconds, compared with the age of the answer.

    Returns:
        How many jobs were removed.
    """
    removed = 0
    for folder, proof in _PROOF.items():
        for name in spool.names(folder):
            if not name.endswith(proof) or name.startswith("."):
                continue
            facts = spool.status(folder, name)
            if facts is not None and facts.st_mtime < before:
                _remove(spool, folder, name[: -len(proof)], proof)
                removed += 1
    return removed


def _remove(spool: Spool, folder: Folder, base: str, proof: str) -> None:
    """Remove one job; the answer that proves its age goes last, so that a crash repeats this."""
    endings = ["", *ENDINGS, *(each for each in ANSWERS if each != proof), proof]
    for ending in endings:
        facts = spool.status(folder, base + ending)
        if facts is None:
            continue
        if stat.S_ISDIR(facts.st_mode):
            shutil.rmtree(base + ending, ignore_errors=True, dir_fd=spool.folders[folder])
        else:
            spool.remove(folder, base + ending)
