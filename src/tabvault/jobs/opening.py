"""
From a file to its container, whatever is wrapped around it.

======================== =============================================================================================
first bytes              what it is, and how it is read
======================== =============================================================================================
``age-encryption.org/v1`` encrypted by Tabvault or the age tool: decrypted view, random access, then looked at again
``PK 03 04``             ``.pbix`` or ``.xlsx``: the member with the model, in place if stored, else inflated to a spool
``This backup was …``    XPress9 envelope: unwrapped to a spool, because its blocks can only be read in order
``FF FE`` + signature    the container itself, read in place
======================== =============================================================================================

A spool is an unnamed temporary file: it is gone when the backup is closed, or the process dies.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from tabvault.errors import (
    DiskFullError,
    FormatError,
    PasswordRequiredError,
    PasswordSuperfluousError,
    StorageError,
    TruncatedError,
)
from tabvault.formats import age, office_package, xpress9
from tabvault.formats.abf.container import Container
from tabvault.formats.byte_source import check_range
from tabvault.jobs.progress import ProgressMeter
from tabvault.jobs.xml_import.converted_container import is_xml_model
from tabvault.jobs.xpress9_process import DecoderProcess
from tabvault.storage.os_errors import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tabvault.formats.byte_source import ByteSource

_HEAD_BYTE_COUNT = 102
"""Enough to tell every kind of file apart: the length of an XPress9 signature, the longest of them."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """
    The bytes of a container, of which nothing has been looked at, and what was around them.

    *envelope* is ``NONE`` for a plain container; *package_member* names the member of a ``.pbix`` or ``.xlsx`` it came
    from; *source* is the container's bytes.
    """

    source: ByteSource
    file_byte_count: int
    encrypted: bool
    package_member: str | None
    envelope: xpress9.Envelope


@dataclass(frozen=True, slots=True)
class OpenedBackup(Unwrapped):
    """
    A backup that can be read.

    *container* is a converted one if the backup's own metadata are XML files: *converted_from* is the compatibility
    level it had then, and *warnings* say what the conversion left out.
    """

    container: Container
    converted_from: int | None = None
    warnings: tuple[str, ...] = ()


@contextlib.contextmanager
def open_backup(
    source: ByteSource,
    *,
    password: str | None = None,
    spool_folder: Path | None = None,
    meter: ProgressMeter | None = None,
) -> Iterator[OpenedBackup]:
    """
    Open a backup, a Power BI or Excel file with a model, or an encrypted one of them.

    Args:
        source: the file's bytes.
        password: for an encrypted file; an empty one counts as none.
        spool_folder: where a wrapped container is unwrapped to; the system's temporary folder by default.
        meter: told about unwrapping.

    Raises:
        PasswordError: required, wrong, or given for a file that is not encrypted.
        FormatError: the file is none of these, or damaged.
        XmlMetadataError: its metadata are XML files, and not those of a tabular model of level 1100 or 1103.
        ModelError: its metadata are XML files, and what they say cannot be had in a model of level 1200.
        DiskFullError: no room to unwrap it.
    """
    with unwrap(source, password=password, spool_folder=spool_folder, meter=meter) as inner:
        container, converted_from, warnings = _readable(Container.open(inner.source))
        yield OpenedBackup(
            container=container,
            converted_from=converted_from,
            warnings=warnings,
            source=inner.source,
            file_byte_count=inner.file_byte_count,
            encrypted=inner.encrypted,
            package_member=inner.package_member,
            envelope=inner.envelope,
        )


@contextlib.contextmanager
def unwrap(
    source: ByteSource,
    *,
    password: str | None = None,
    spool_folder: Path | None = None,
    meter: ProgressMeter | None = None,
) -> Iterator[Unwrapped]:
    """
    Take off what is wrapped around a container, for one who wants to look into it himself.

    Arguments and errors are those of :func:`open_backup`.
    """
    meter = meter or ProgressMeter(None)
    file_byte_count = source.byte_count
    with contextlib.ExitStack() as stack:
        encrypted = age.is_age(_head(source))
        if encrypted:
            if not password:
                raise PasswordRequiredError(
                    "the backup is encrypted and no password was given", hint="give the password"
                )
            source = age.DecryptedSource(source, password)
        elif password:
            raise PasswordSuperfluousError(
                "a password was given and the backup is not encrypted", hint="leave the password out"
            )
        member_name = None
        if bytes(_head(source)[:4]) == office_package.MAGIC:
            member = office_package.ModelMember(source)
            member_name = member.name
            source = member.stored_span() or stack.enter_context(
                _spooled(member.pieces(), member.byte_count, folder=spool_folder, meter=meter)
            )
        envelope = xpress9.envelope_of(_head(source))
        if envelope is None and not source.byte_count:
            raise FormatError("not a backup: the file is empty")
        if envelope is None:
            raise FormatError(
                f"not a backup: it begins with {bytes(_head(source)[:16]).hex(' ')}",
                offset=0,
                hint="an .abf, .pbix or a Power BI cache.abf was expected",
            )
        if envelope is not xpress9.Envelope.NONE:
            raw_byte_count = xpress9.raw_byte_count(source)
            decoder = stack.enter_context(DecoderProcess())
            unwrapped = xpress9.unwrap(source, new_decoder=decoder.new_session)
            source = stack.enter_context(_spooled(unwrapped, raw_byte_count, folder=spool_folder, meter=meter))
        yield Unwrapped(source, file_byte_count, encrypted, member_name, envelope)


def _readable(container: Container) -> tuple[Container, int | None, tuple[str, ...]]:
    """A container with sqlite metadata: made of XML metadata where the backup has those."""
    if not is_xml_model(container):
        return container, None, ()
    from tabvault.jobs.xml_import.conversion import convert  # noqa: PLC0415 - with the engine, which few need

    conversion = convert(container)
    return conversion.container, conversion.level, conversion.warnings


def _head(source: ByteSource) -> bytes | memoryview:
    return source.read_at(0, min(_HEAD_BYTE_COUNT, source.byte_count))


@contextlib.contextmanager
def _spooled(
    pieces: Iterable[bytes], byte_count: int, *, folder: Path | None, meter: ProgressMeter
) -> Iterator[ByteSource]:
    place = folder or tempfile.gettempdir()
    with contextlib.ExitStack() as stack:
        with storage_errors("temporary file for unwrapping", missing=StorageError):
            free_byte_count = shutil.disk_usage(place).free
            if byte_count > free_byte_count:
                raise DiskFullError(
                    f"unwrapping needs {byte_count} bytes, and {free_byte_count} are free in {place}",
                    hint="set TMPDIR to a folder on a larger disk" if folder is None else "make room there",
                )
            spool = stack.enter_context(tempfile.TemporaryFile(dir=place, prefix="tabvault-"))
        meter.step("unwrapping", byte_count)
        done = 0
        for piece in meter.counted(pieces):
            with storage_errors("temporary file for unwrapping", missing=StorageError):
                spool.write(piece)
            done += len(piece)
        with storage_errors("temporary file for unwrapping", missing=StorageError):
            spool.flush()
        yield _SpoolSource(spool, done)


class _SpoolSource:
    """The bytes of an unnamed temporary file."""

    def __init__(self, spool: IO[bytes], byte_count: int) -> None:
        self._descriptor = spool.fileno()
        self.byte_count = byte_count

    def read_at(self, offset: int, byte_count: int) -> bytes:
        """Exactly *byte_count* bytes from *offset*."""
        check_range(offset, byte_count, self.byte_count)
        data = b""
        while len(data) < byte_count:
            piece = os.pread(self._descriptor, byte_count - len(data), offset + len(data))
            if not piece:
                raise TruncatedError("the temporary file became shorter", offset=offset + len(data))
            data = data + piece if data else piece
        return data
