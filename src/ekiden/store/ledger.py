"""The ledger: which deliveries are past the final dot and not yet settled, for the next start.

Theory. A killed process leaves its deliveries `sending`. Most of them only waited for a reply to
MAIL; to count each of those as a possible duplicate is noise. What matters is small: whose last
octet of content was handed to the transport. That is written here, one slot per delivery, before
those octets go. Nothing is synced: what a killed process has written stays in the page cache. After
a power failure or a crash of the system that is not so, and the boot id in the header says it: then
the ledger is no evidence, and everything is in doubt.

A slot holds the delivery's id and its lease. Leases are random and never used twice, so a slot
needs no clearing: once the settlement is committed the row is no longer `sending` under that lease,
and the slot may be written over.

It is written with `pwrite`, not through a mapping: on a full disk a mapping kills the process with
SIGBUS where a write only fails.

Layout (little-endian): a header of 64 bytes (magic, boot id, device and inode of the database,
CRC), then slots of 32 bytes (id, lease, CRC; zeros where never used). No slot crosses a page, so a
kill leaves it whole or untouched.

**Contract.** `read` answers with what was past the dot, or None when there is no evidence (no
file, another boot, another database, damage): None means that everything is in doubt. When a slot
cannot be written the file is removed: the next start finds no evidence rather than a wrong one.
"""

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import Final, Self

import structlog

_log = structlog.get_logger()

_MAGIC: Final = b"EKIDENL1"
_HEADER: Final = struct.Struct("<8s36sQQI")
_HEADER_BYTES: Final = 64
_SLOT: Final = struct.Struct("<QQI12x")
_SLOT_BYTES: Final = _SLOT.size
_NAMES: Final = struct.Struct("<QQ")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

Past = frozenset[tuple[int, int]]  # (delivery id, lease)


class Ledger:
    """The ledger of one run; made by `begin`, one user of it at a time (the queue's lock holds)."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self._slots: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._end = 0  # slots in the file

    @staticmethod
    def beside(database: Path) -> Path:
        """Return where the ledger of a database is."""
        return database.with_name(database.name + ".ledger")

    @classmethod
    def read(cls, database: Path, boot: str | None = None) -> Past | None:
        """Return what was past the dot when the last run ended, None without evidence.

        Args:
            database: The queue's database file.
            boot: The system's boot id; read from /proc when not given.
        """
        try:
            raw = cls.beside(database).read_bytes()
        except OSError:
            return None
        try:
            header = _header(database, boot)
        except OSError:
            return None
        if raw[:_HEADER_BYTES] != header or len(raw) % _SLOT_BYTES:
            return None
        past = set()
        for at in range(_HEADER_BYTES, len(raw), _SLOT_BYTES):
            id_, lease, check = _SLOT.unpack_from(raw, at)
            if check != _check(id_, lease):
                return None
            if id_:
                past.add((id_, lease))
        return frozenset(past)

    @classmethod
    def begin(cls, database: Path, boot: str | None = None) -> Self | None:
        """Begin this run's ledger in place of the last one's; None when there can be none.

        Call it when what `read` said has been committed to the database.
        """
        path = cls.beside(database)
        fresh = path.with_name(path.name + ".new")
        descriptor = None
        try:
            path.unlink(missing_ok=True)
            header = _header(database, boot)
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(fresh, flags, 0o600)
            _put(descriptor, header, 0)
            fresh.rename(path)
        except OSError as error:
            _say_there_is_none(error)
            if descriptor is not None:
                os.close(descriptor)
            return None
        return cls(path, descriptor)

    def note(self, delivery: int, lease: int) -> None:
        """Write that the last octet of a delivery's content is about to be handed over."""
        if self._descriptor is None or (delivery, lease) in self._slots:
            return
        slot = self._free.pop() if self._free else self._end
        entry = _SLOT.pack(delivery, lease, _check(delivery, lease))
        try:
            _put(self._descriptor, entry, _HEADER_BYTES + slot * _SLOT_BYTES)
        except OSError as error:
            _say_there_is_none(error)
            self.end()
            return
        self._end = max(self._end, slot + 1)
        self._slots[delivery, lease] = slot

    def settled(self, delivery: int, lease: int) -> None:
        """Hear that what became of it is committed: its slot may be used again."""
        slot = self._slots.pop((delivery, lease), None)
        if slot is not None:
            self._free.append(slot)

    def end(self) -> None:
        """Remove the ledger: nothing is on the wire any more, or it cannot be relied upon."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def _check(delivery: int, lease: int) -> int:
    return zlib.crc32(_NAMES.pack(delivery, lease)) if delivery else 0


def _header(database: Path, boot: str | None) -> bytes:
    """Return the header that a ledger of this database in this boot has.

    Raises:
        OSError: There is no telling.
    """
    name = (boot or _BOOT_ID.read_text(encoding="ascii")).strip().encode("ascii")
    found = database.stat()
    packed = _HEADER.pack(_MAGIC, name, found.st_dev, found.st_ino, 0)
    packed = packed[:-4] + struct.pack("<I", zlib.crc32(packed))
    return packed.ljust(_HEADER_BYTES, b"\0")


def _put(descriptor: int, data: bytes, at: int) -> None:
    if os.pwrite(descriptor, data, at) != len(data):
        raise OSError("the write was cut short")


def _say_there_is_none(error: OSError) -> None:
    _log.warning(
        "no ledger of what is on the wire: after a crash all of it would count as in doubt",
        error=str(error),
        remedy="let the daemon read /proc/sys/kernel/random/boot_id and write beside the database",
    )
