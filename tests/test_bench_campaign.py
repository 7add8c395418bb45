"""The campaign of bench/campaign.py, small: people react as it goes out, and all is counted."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench import campaign


async def test_every_count_is_right_and_nobody_is_mailed_after_leaving(tmp_path: Path) -> None:
    assert await campaign.campaign(tmp_path / "s", 800, destinations=40) == []
