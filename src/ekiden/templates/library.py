"""The stored templates: add, find, list, remove.

A version is written once. `add` of what the newest version already says makes no new one, so a
deployment may add its templates every time. The number of a removed version is not used again: its
row stays, without text.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from ekiden.errors import NotFoundError, RefusedError
from ekiden.store.database import Database
from ekiden.store.transaction import Tx
from ekiden.templates.model import (
    Reference,
    StoredTemplate,
    TemplateFacts,
    TemplateText,
    checked,
    checked_name,
    decode,
    digest,
    encode,
)

NOTE_CHARS: Final = 200


class Library:
    """The templates of an installation.

    Args:
        db: The database that holds the queue.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def add(
        self,
        name: str,
        text: TemplateText,
        *,
        at: float,
        note: str = "",
        configuration_set: str = "",
    ) -> TemplateFacts:
        """Store a version, unless the newest one says the same.

        Args:
            name: The template's name.
            text: Its texts.
            at: UNIX seconds.
            note: A remark.
            configuration_set: The set of jobs that use it and name none.

        Raises:
            RefusedError: The name or the template is not allowed.
        """
        checked_name(name)
        await asyncio.to_thread(checked, text)
        if len(note) > NOTE_CHARS or not (note + configuration_set).isprintable():
            raise RefusedError(f"a note is one line of at most {NOTE_CHARS} characters")
        content = encode(text)
        mark = digest(content, configuration_set)

        def op(tx: Tx) -> int:
            highest, newest = tx.rows(_sql("newest"), (name,))[0]
            if newest is not None and tx.rows(_sql("digest_of"), (name, newest))[0][0] == mark:
                return int(newest)
            version: int = (highest or 0) + 1
            values = (name, version, round(at * 1000), note, configuration_set, mark, content)
            tx.execute(_sql("add_version"), values)
            return version

        version = await self._db.write(op)
        return (await self.find(Reference(name, version))).facts

    async def find(self, wanted: Reference) -> StoredTemplate:
        """Return a version, or the newest one.

        Raises:
            NotFoundError: There is none.
        """
        rows = await self._db.read(_sql("version"), (wanted.name, wanted.version))
        if not rows:
            raise _missing(wanted)
        name, version, created_at, note, chosen, content, versions = rows[0]
        facts = _facts((name, version, created_at, note, chosen, versions))
        return StoredTemplate(facts=facts, text=decode(content))

    async def names(self) -> list[TemplateFacts]:
        """Return the newest version of every template, by name."""
        return [_facts(row) for row in await self._db.read(_sql("names"))]

    async def versions(self, name: str) -> list[TemplateFacts]:
        """Return all versions of a template, the newest first.

        Raises:
            NotFoundError: There is none of that name.
        """
        rows = await self._db.read(_sql("versions"), (name,))
        if not rows:
            raise _missing(Reference(name))
        return [_facts(row) for row in rows]

    async def remove(self, wanted: Reference, *, at: float) -> int:
        """Remove a version, or all of them; jobs that were taken keep theirs.

        Returns:
            How many versions went.

        Raises:
            NotFoundError: There is none.
        """
        values = (wanted.name, wanted.version, round(at * 1000))
        gone = await self._db.write(lambda tx: tx.execute(_sql("remove"), values))
        if not gone:
            raise _missing(wanted)
        return gone


def _sql(name: str) -> str:
    return Database.sql("templates", name)


def _facts(row: Sequence[Any]) -> TemplateFacts:
    name, version, created_at, note, configuration_set, versions = row
    return TemplateFacts(
        name=name,
        version=version,
        created_at=created_at / 1000,
        note=note,
        configuration_set=configuration_set,
        versions=versions,
    )


def _missing(wanted: Reference) -> NotFoundError:
    number = "" if wanted.version is None else f" with a version {wanted.version}"
    return NotFoundError(
        f"there is no template {wanted.name[:100]!r}{number}",
        remedy="see those there are: ekiden templates list; store one: ekiden templates add",
    )
