"""An entry of `cur/` -> everything the queue needs of it: spec, identity, content, recipients.

Blocking; intake runs it on a thread. The identity is taken from the bytes before anything is
computed from them, so that the same job gives the same identity whenever it is read: its `id`, or
else a digest of the job file and of every file it names. NAME is not part of it: the same campaign
dropped under another name is the same campaign.

Contract: `JobError` and `UnsafeFileError` for what the sender can mend, `OSError` for the machine.
"""

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

from ekiden import limits
from ekiden.errors import RefusedError
from ekiden.message.compile import compile_content
from ekiden.message.content import Content, encode
from ekiden.spool.content import ContentRules, Filled, content_of, with_template
from ekiden.spool.formats import job_from_json, job_from_toml
from ekiden.spool.formats_eml import job_from_message
from ekiden.spool.jobspec import JobError, JobSpec, Part, Shape
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.recipients import Batch, Plan, read_list, read_recipients
from ekiden.spool.safefiles import (
    UnsafeFileError,
    digest_into,
    open_entry,
    open_inside,
    read_whole,
    signature,
)

JOB_FILE: Final = "job.toml"
ENDINGS: Final = (".eml", ".json", ".toml")
READ_BYTES: Final = 64 * 1024  # of the recipients file at a time: one block's work

_UNIQUE: Final = re.compile(
    r"\.(?:\d{9,11}\.M\d{6}P\d+Q\d+\.[\w-]{1,32}|\d{18,20}\.[0-9a-f]{8})\Z"  # of submit; of the API
)
_CHANGED: Final = "The file changed while it was being read."


@dataclass(slots=True)
class Loaded:
    """A job, read and checked but for its recipients.

    Args:
        spec: What the job file says.
        uid: Its identity.
        made: Its content.
        content: `message.content.encode` of it.
        batches: Its recipients; raises `JobError` on the way when the file is wrong as a whole.
    """

    spec: JobSpec
    uid: str
    made: Content
    content: bytes
    batches: Iterator[Batch]
    _files: dict[int, tuple[str, tuple[int, int, int]]] = field(default_factory=dict)

    def check_unchanged(self) -> None:
        """Refuse the job when a file was written to since it was opened.

        Raises:
            JobError: Its identity or its rows may be those of two different contents.
        """
        for descriptor, (name, before) in self._files.items():
            if signature(descriptor) != before:
                raise JobError.one(
                    _CHANGED, where=name, remedy="build the job in tmp/ and rename it into new/"
                )

    def close(self) -> None:
        """Close the job's files."""
        for descriptor in self._files:
            os.close(descriptor)
        self._files.clear()


def stem(name: str) -> str:
    """NAME: the entry's name without the ending of its shape."""
    for ending in ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def called(name: str) -> str:
    """Return what people call a job whose file gives it no name.

    That is NAME without what made a copy's unique: `ekiden submit` (`submit.unique_name`) puts the
    time, its process and the host there, the admin API the time and a random number.
    """
    return _UNIQUE.sub("", name) or name


def load(spool: Spool, name: str, now: float, rules: ContentRules | None = None) -> Loaded:
    """Read the job `name` in `cur/`.

    Args:
        spool: The spool.
        name: The entry's name.
        now: UNIX seconds: what relative times count from.
        rules: What its content is made by.

    Raises:
        JobError: It is wrong.
        UnsafeFileError: A file of it must not be read, or is missing.
    """
    descriptor = open_entry(spool.folders[Folder.CUR], name, spool.owners)
    return load_entry(descriptor, name, spool.owners, now, rules or ContentRules())


def load_entry(
    descriptor: int, name: str, owners: Collection[int], now: float, rules: ContentRules
) -> Loaded:
    """Read an open job, and close it.

    Args:
        descriptor: The job's file or directory, open.
        name: Its name.
        owners: The user ids its files may belong to.
        now: UNIX seconds: what relative times count from.
        rules: What its content is made by.

    Raises:
        JobError: It is wrong.
        UnsafeFileError: A file of it must not be read, or is missing.
    """
    loader = _Loader(owners, name, now, rules)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return loader.directory(descriptor)
        return loader.file(descriptor)
    except BaseException:
        loader.close()
        raise
    finally:
        os.close(descriptor)


class _Loader:
    """Reads one entry; keeps its files open until their rows are read."""

    def __init__(self, owners: Collection[int], name: str, now: float, rules: ContentRules) -> None:
        self.owners = owners
        self.name = name
        self.now = now
        self.rules = rules
        self.digest = hashlib.sha256()
        self.files: dict[int, tuple[str, tuple[int, int, int]]] = {}

    def close(self) -> None:
        for descriptor in self.files:
            os.close(descriptor)

    def file(self, descriptor: int) -> Loaded:
        """NAME.eml, NAME.json or NAME.toml."""
        before = signature(descriptor)
        message = self.name.endswith(".eml")
        cap = limits.MESSAGE_BYTES if message else limits.INLINE_JOB_BYTES
        data = read_whole(descriptor, self.name, cap)
        if signature(descriptor) != before:
            raise JobError.one(_CHANGED, where=self.name, remedy="rename it into new/")
        self.digest.update(data)
        job = called(stem(self.name))
        if message:
            spec = job_from_message(data, self.name, job, now=self.now)
        elif self.name.endswith(".json"):
            spec = job_from_json(data, self.name, job, now=self.now)
        elif self.name.endswith(".toml"):
            spec = job_from_toml(data, self.name, job, shape=Shape.INLINE, now=self.now)
        else:
            raise JobError.one(
                "This is none of the shapes that are taken.",
                where=self.name,
                remedy="drop NAME.eml, NAME.json, NAME.toml, or a directory with job.toml",
            )
        parts = [(part, part.content) for part in (*spec.attachments, *spec.images)]
        return self._loaded(spec, (spec.html, spec.text), parts, self.name)

    def directory(self, job: int) -> Loaded:
        """NAME/ with job.toml."""
        data = self._read(job, JOB_FILE, limits.JOB_FILE_BYTES)
        where = f"{self.name}/{JOB_FILE}"
        spec = job_from_toml(data, where, called(self.name), shape=Shape.DIRECTORY, now=self.now)
        encoding = spec.template_encoding
        html, text = (
            _decoded(self._read(job, path, limits.TEMPLATE_BYTES), path, encoding) if path else ""
            for path in (spec.html, spec.text)
        )
        parts = [
            (part, self._read(job, part.file, limits.ATTACHMENT_BYTES))
            for part in (*spec.attachments, *spec.images)
        ]
        recipients = open_inside(job, spec.recipients_file, self.owners)
        self.files[recipients] = (spec.recipients_file, signature(recipients))
        self.digest.update(spec.recipients_file.encode() + b"\0")
        digest_into(recipients, self.digest)
        return self._loaded(spec, (html, text), parts, where, recipients)

    def _loaded(
        self,
        spec: JobSpec,
        texts: tuple[str, str],
        parts: list[tuple[Part, bytes]],
        where: str,
        recipients: int | None = None,
    ) -> Loaded:
        filled = Filled(spec, *texts)
        try:
            if spec.template:
                filled = with_template(spec, self.rules.find(spec.template))
            spec = filled.spec
            content = content_of(filled, parts, self.rules)
            compiled = compile_content(content)
            stored = encode(content)
        except RefusedError as error:
            place = f"{where}: {error.where}" if error.where else where
            raise JobError.one(error.what, where=place, remedy=error.remedy) from error
        plan = Plan(
            file=spec.recipients_file or self.name,
            address=spec.address,
            sets=spec.set_column,
            delimiter=spec.delimiter,
            encoding=spec.encoding,
            required=compiled.fields,
            mentioned=compiled.names,
            blank_is_missing=spec.blank_is_missing,
        )
        uid = spec.id or f"sha256:{self.digest.hexdigest()}"
        if recipients is None:
            batches = read_list(spec.recipients, plan)
        else:
            batches = read_recipients(_chunks(recipients), plan)
        return Loaded(spec, uid, content, stored, batches, self.files)

    def _read(self, job: int, path: str, cap: int) -> bytes:
        """Read a small file of the job directory, and make it part of the identity."""
        where = f"{self.name}/{path}"
        try:
            descriptor = open_inside(job, path, self.owners)
        except UnsafeFileError as error:
            raise JobError.one(error.what, where=where, remedy=error.remedy) from error
        try:
            data = read_whole(descriptor, where, cap)
        finally:
            os.close(descriptor)
        self.digest.update(path.encode("utf-8", "surrogateescape") + b"\0%d\0" % len(data) + data)
        return data


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, READ_BYTES):
        yield chunk


def _decoded(data: bytes, where: str, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise JobError.one(
            f"Byte 0x{data[error.start]:02x} is not {encoding}.",
            where=f"{where}:{line}",
            remedy="save the template as UTF-8, or declare `template_encoding`",
        ) from error
    return text.removeprefix("\ufeff")
