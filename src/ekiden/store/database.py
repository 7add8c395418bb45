"""The one database: one writing connection, group commit, one reading connection.

**Contract.** `write(op)` runs `op(tx)` on the database's thread inside the current group's
transaction and returns its value only after COMMIT, which with WAL and `synchronous=FULL` means
after fsync. An operation that raises undoes itself alone (a savepoint); a failing disk undoes the
whole group, every member of it gets `UnavailableError`, and the next group starts clean.

**Group commit.** While one group is synced, the operations that arrive wait together and become the
next group: an operation that finds nobody else is committed at once. Under load, which is when a
group had company, the next one begins `group_seconds` after it at the soonest, and grows until 200
rows or until it has run as long: each group takes a dozen statements, and the interpreter's lock
for each, however many rows it has. What waits and what is being synced is the window in which a
crash can cause a duplicate.

**Checkpoints** run on the writing connection, in the database's thread, each time the log has grown
by `checkpoint_pages`; they copy that many pages at most and sync once, while the event loop runs on
and readers read. They delay the next group, not the loop. A whole VACUUM is never run: freed pages
are used again by the next job, and where too many are free `give_back` takes some off the file's
end, a step at a time between two groups (store/room.py says how many).

**Reads** use a second, read-only connection on its own thread: a report sees a snapshot and never
stands in the writer's way.
"""

import asyncio
import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final, Generic, Self, TypeVar

import aiosqlite
import msgspec

from ekiden.errors import ConfigError, EkidenError, UnavailableError
from ekiden.store.failures import translate
from ekiden.store.lock import Lock
from ekiden.store.room import STEP_PAGES, excess
from ekiden.store.statements import migrations, statements
from ekiden.store.transaction import Params, Tx

T = TypeVar("T")
_APPLICATION_ID: Final = 0x454B4944  # "EKID": `file` and people can tell what it is
_OLDEST_SQLITE: Final = (3, 40, 0)
_INCREMENTAL: Final = 2  # as PRAGMA auto_vacuum tells it


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How the database is run.

    Args:
        cache_mib: Page cache of the writing connection, MiB.
        read_cache_mib: Page cache of the reading connection, MiB.
        group_rows: A group is committed when it has this many rows.
        group_seconds: Or when it has run for this long; and under load a group begins so long after
            the one before.
        checkpoint_pages: Pages (4 KiB) that the log grows by before a checkpoint step.
        max_pages: Refuse to grow beyond this many pages; 0 for no limit.
    """

    cache_mib: int = 64
    read_cache_mib: int = 16
    group_rows: int = 200
    group_seconds: float = 0.010
    checkpoint_pages: int = 2000
    max_pages: int = 0


class _Pending(Generic[T]):
    """An operation that waits for its group, and what came of it."""

    __slots__ = ("error", "future", "op", "result", "rows")

    def __init__(self, op: Callable[[Tx], T], rows: int, future: asyncio.Future[T]) -> None:
        self.op = op
        self.rows = rows
        self.future = future
        self.result: T | None = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Tell the one who waits, if he still does."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # set when no error is


class _Connection(aiosqlite.Connection):
    """aiosqlite's connection, able to run a whole function on its thread.

    One hop to the thread for a group instead of one for each of its statements: the transaction
    never stays open while it waits for a busy event loop.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, iter_chunk_size=64)
        # A process that ends by an error must not wait for ever for a thread that nobody closes;
        # what was not committed is undone by the next start, as after any crash.
        self._thread.daemon = True

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run `function(connection)` on the connection's thread."""
        result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]  # aiosqlite leaves it bare
        return result


class Database:
    """The open database. Make one with `Database.open`."""

    def __init__(self, path: Path, options: DatabaseOptions, lock: Lock) -> None:
        self._path = path
        self._options = options
        self._lock = lock
        self._pending: deque[_Pending[Any]] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: _Connection
        self._reader: _Connection
        self._task: asyncio.Task[None]

    @classmethod
    async def open(
        cls, path: str | Path, *, options: DatabaseOptions | None = None, offline: bool = False
    ) -> Self:
        """Lock, open and migrate the database.

        Args:
            path: The database file; made when it does not exist.
            options: How it is run.
            offline: For a command while no daemon runs: the same lock, but a database that does not
                exist is an error instead of being made.

        Raises:
            UnavailableError: Another process uses it, or the disk refuses.
            ConfigError: It was written by a newer version, or is no queue of ours.
            DamagedError: The file is damaged.
        """
        path = Path(path)
        if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
            raise ConfigError(
                f"SQLite {sqlite3.sqlite_version} is too old", remedy="use SQLite 3.40 or newer"
            )
        if offline and not path.exists():
            raise UnavailableError(
                "there is no queue here yet", where=str(path), remedy="start the daemon once"
            )
        lock = Lock(path.with_name(path.name + ".lock"))
        lock.take()
        database = cls(path, options or DatabaseOptions(), lock)
        try:
            await database._connect()
        except BaseException:
            lock.release()
            raise
        return database

    async def _connect(self) -> None:
        opened: list[_Connection] = []
        try:
            self._writer = await self._connection(str(self._path))
            opened.append(self._writer)
            await self._guard(self._writer.run(self._prepare))
            uri = self._path.absolute().as_uri() + "?mode=ro"
            self._reader = await self._connection(uri)
            opened.append(self._reader)
            await self._guard(self._reader.run(self._prepare_reader))
        except BaseException:
            for connection in opened:
                await connection.close()
            raise
        self._task = asyncio.create_task(self._commit_groups(), name="database writer")

    async def _connection(self, target: str) -> _Connection:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                target, isolation_level=None, cached_statements=256, uri=target.startswith("file:")
            )

        connection = _Connection(connect)
        await self._guard(connection)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        options = self._options
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # before the first table; without effect on an old file
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            f"cache_size=-{options.cache_mib * 1024}",
            f"wal_autocheckpoint={options.checkpoint_pages}",
            f"journal_size_limit={options.checkpoint_pages * 4096 * 4}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._migrate(connection)
        if options.max_pages:
            connection.execute(f"PRAGMA max_page_count={options.max_pages}")

    def _migrate(self, connection: sqlite3.Connection) -> None:
        steps = migrations()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and owner != _APPLICATION_ID:
            raise ConfigError(
                "this database belongs to another program",
                where=str(self._path),
                remedy="name another file",
            )
        if version > len(steps):
            raise ConfigError(
                f"this queue has schema {version}, this program knows {len(steps)}",
                where=str(self._path),
                remedy="run the newer version that wrote it",
            )
        for number, script in steps[version:]:
            # executescript commits what is open first, so the transaction is part of the script.
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA application_id={_APPLICATION_ID};\n"
                f"PRAGMA user_version={number};\nCOMMIT;"
            )

    def _prepare_reader(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout=5000")
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA cache_size=-{self._options.read_cache_mib * 1024}")

    async def _guard(self, work: Any) -> Any:
        """Await the driver; its errors become ours."""
        try:
            return await work
        except sqlite3.Error as error:
            raise (translate(error, str(self._path)) or error) from error

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    @staticmethod
    def sql(room: str, name: str) -> str:
        """The statement `name` of the `.sql` files of `room`."""
        return statements(room)[name]

    async def write(self, op: Callable[[Tx], T], *, rows: int = 1) -> T:
        """Run an operation in the next group; returns its value after the sync.

        Args:
            op: Called on the database's thread as `op(tx)`; must not touch the event loop.
            rows: How many rows it writes, for the group's limit.

        Raises:
            UnavailableError: The disk refused; nothing of the group remains.
            EkidenError: What `op` raised; nothing of it remains.
        """
        if self._closing:
            raise UnavailableError("the database is closed", where=str(self._path))
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(op, rows, future))
        self._wake.set()
        return await future

    async def read(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, on the reading connection; for few rows (see `Tx`)."""
        rows: list[tuple[Any, ...]] = await self._guard(
            self._reader.run(lambda connection: connection.execute(sql, params).fetchall())
        )
        return rows

    async def read_json(self, sql: str, params: Params = ()) -> Any:
        """The decoded JSON value of a query that answers with one row of it."""
        rows = await self.read(sql, params)
        return msgspec.json.decode(rows[0][0]) if rows and rows[0][0] is not None else None

    async def give_back(self, most: int = STEP_PAGES) -> int:
        """Take one step's worth of free pages off the file, if it has too many.

        A file that an earlier version made has no map of its pages and stays as it is: VACUUM it
        once with the daemon stopped (docs/queue.md).

        Args:
            most: Pages at most.

        Returns:
            How many were given back; call again, with a pause, while it is more than 0.

        Raises:
            UnavailableError: The disk refused; nothing has changed.
        """
        if self._closing:
            return 0
        given: int = await self._guard(self._writer.run(lambda c: _give_back(c, most)))
        return given

    async def close(self) -> None:
        """Commit what waits, fold the log into the database, release the lock."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        await self._task
        await self._reader.close()
        # A full disk must not keep the daemon from ending; the log is read again at next start.
        with contextlib.suppress(EkidenError):
            await self._guard(
                self._writer.run(lambda c: c.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            )
        await self._writer.close()
        self._lock.release()

    async def _commit_groups(self) -> None:
        while self._pending or not self._closing:
            if not self._pending:
                self._wake.clear()
                await self._wake.wait()
                continue
            began = monotonic()
            group = await self._writer.run(self._group)
            for item in group:
                item.resolve()
            rest = began + self._options.group_seconds - monotonic()
            if len(group) > 1 and rest > 0 and not self._closing:
                await asyncio.sleep(rest)

    def _group(self, connection: sqlite3.Connection) -> list[_Pending[Any]]:
        """Run and commit one group; on the database's thread."""
        group: list[_Pending[Any]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._run_ops(connection, group)
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if not group and self._pending:
                group.append(self._pending.popleft())  # BEGIN failed: somebody must hear of it
            for item in group:
                item.error = item.error or translate(error, str(self._path)) or error
        return group

    def _run_ops(self, connection: sqlite3.Connection, group: list[_Pending[Any]]) -> None:
        tx = Tx(connection)
        rows = 0
        until = monotonic() + self._options.group_seconds
        while self._pending and rows < self._options.group_rows:
            item = self._pending.popleft()
            group.append(item)
            rows += item.rows
            self._run_op(connection, tx, item, first=len(group) == 1)
            # A first operation that failed took the transaction with it.
            if not connection.in_transaction or monotonic() >= until:
                return

    @staticmethod
    def _run_op(
        connection: sqlite3.Connection, tx: Tx, item: _Pending[Any], *, first: bool
    ) -> None:
        # The first has the transaction to itself so far: it needs no savepoint, and a savepoint is
        # not free (the old image of each page it touches is kept).
        if not first:
            connection.execute("SAVEPOINT op")
        try:
            item.result = item.op(tx)
        except Exception as error:
            item.error = error
            if isinstance(error, sqlite3.Error) and translate(error, "") is not None:
                item.error = None  # the whole group shares the disk's failure
                raise
            connection.execute("ROLLBACK" if first else "ROLLBACK TO op")
        if not first:
            connection.execute("RELEASE op")


def _give_back(connection: sqlite3.Connection, most: int) -> int:
    mode, pages, free = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("auto_vacuum", "page_count", "freelist_count")
    )
    number = min(most, excess(pages, free)) if mode == _INCREMENTAL else 0
    if number:
        # A script runs to its end in one go; a statement would be stepped page by page, with the
        # interpreter lock given back at each.
        connection.executescript(f"PRAGMA incremental_vacuum({number})")
    return number
