"""What of a new configuration a running daemon cannot take over."""

from ekiden.config import Config


def needs_restart(old: Config, new: Config) -> list[str]:
    """Return the sections that differ and are only read at start."""
    fixed = ("spool", "queue", "paths", "control", "log", "inbound", "web")
    changed = [name for name in fixed if getattr(old, name) != getattr(new, name)]
    log = ("directory", "types", "rotate", "keep")
    changed += [
        f"events.{name}" for name in log if getattr(old.events, name) != getattr(new.events, name)
    ]
    if old.dkim.threads != new.dkim.threads:
        changed.append("dkim.threads")
    return changed
