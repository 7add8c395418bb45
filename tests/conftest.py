"""What holds for all tests: a machine that is busy with others makes no example a finding."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Hundreds of daemons and commands are started. Where nothing may be written beside the sources each
# would compile all of them again, a third of its start; as it is, the first one does.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    kept = Path(__file__).parent.parent / ".pytest_cache" / "bytecode"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(kept))
