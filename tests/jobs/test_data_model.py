"""A database as Power BI Desktop's ``DataModel``: other readers find what they find in the genuine file."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import itertools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from pbix_mcp.formats.abf_rebuild import read_metadata_sqlite
from pbix_mcp.formats.datamodel_roundtrip import decompress_datamodel
from pbix_mcp.formats.vertipaq_decoder import read_table_from_abf
from pbixray import PBIXRay
from vaults import SMALL, bodies, values, vault_with

from conftest import CONTAINER_SAMPLES, sample_path
from tabvault.errors import ChecksumError, DiskFullError, JobCancelledError, StorageError
from tabvault.formats.abf import backup_log, db_xml, header
from tabvault.formats.abf.virtual_directory import DirectoryEncoding
from tabvault.formats.xpress9 import Envelope
from tabvault.jobs.data_model import export_backup, export_database
from tabvault.jobs.opening import open_backup
from tabvault.jobs.vault import Vault
from tabvault.jobs.verify import verify_backup
from tabvault.model.file_set import METADATA_FILE
from tabvault.storage.file_source import FileSource
from tabvault.testing.faults import CallCounter, FaultyModule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tabvault.formats.abf.container import Container
    from tabvault.jobs.data_model import ExportedDataModel
    from tabvault.jobs.progress import Progress

DESKTOP_SAMPLES = tuple(
    name
    for name in CONTAINER_SAMPLES
    if name.endswith((".pbix", "cache.abf"))
    # Plain containers of Desktop before 2018, whose files are compressed one by one.
    and not name.startswith("Hugoberry__old-")
)
"""What Desktop wrapped into XPress9."""

WITH_CHECKSUMS = {SMALL}
"""The one of them that has checksums."""


WITH_OLD_DIRECTORY = {"microsoft__2018SU04_Blog_Demo_-_April.pbix"}
"""The one whose directory is in UTF-16."""

WITH_OLD_METADATA = "Hugoberry__old-schema17-DataTable.pbix"
"""Whose metadata pbix-mcp cannot read, whatever is around them: a column that it asks for came later."""


VARIED = (
    SMALL,
    WITH_OLD_METADATA,
    "microsoft__2018SU04_Blog_Demo_-_April.pbix",
    "Hugoberry__DataModel.abf",
    "Hugoberry__ols-sample-report.pbix",
    "rkapp22__Dashboard.SemanticModel_.pbi_cache.abf",
)
"""
Of each kind one: with checksums; files compressed one by one; a directory in UTF-16; of a server; roles; a cache.

What another reader decodes of a file it decodes of its bytes, and those are the genuine ones in the DataModel of every
sample: ``test_our_own_import_finds_the_same_bodies``. What is another's to find is the way to them.
"""


@functools.cache
def export(name: str) -> ExportedDataModel:
    """The sample as a DataModel, made once; nobody changes it."""
    folder = Path(tempfile.mkdtemp(prefix="tabvault-data-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with FileSource(sample_path(name)) as source:
        return export_backup(source, folder / "shop.DataModel")


def export_shop(vault: Vault, path: Path, **options: Any) -> ExportedDataModel:
    with vault.folder.read("shop") as version:
        return export_database(version, path, **options)


def container_bytes(container: Container) -> bytes:
    return b"".join(container.reemit())


def in_pbix(data_model: Path, folder: Path) -> Path:
    """The stream where Desktop keeps it: a member of a ZIP that is stored as it is."""
    path = folder / "shop.pbix"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as package:
        package.write(data_model, "DataModel")
    return path


def tables_by_pbix_mcp(plain: bytes, names: Iterable[str]) -> dict[str, Any]:
    """Tables as another writer's reader decodes them: its own container and column readers."""
    metadata = read_metadata_sqlite(plain)
    return {name: read_table_from_abf(plain, name, metadata, include_calculated=True) for name in names}


class TestGenuineDatabases:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", CONTAINER_SAMPLES)
    def test_our_own_import_finds_the_same_bodies(self, tmp_path: Path, name: str) -> None:
        with vault_with(tmp_path, name) as vault:
            exported = export_shop(vault, tmp_path / "out" / "shop.DataModel")
            vault.import_file(exported.path, "again")
            first, again = bodies(vault, "shop"), bodies(vault, "again")
            # Each database has a definition of its own: a name, two ids.
            (definition,) = (file for file in first if file.endswith(".db.xml"))
            (other,) = (file for file in again if file.endswith(".db.xml"))
            del first[definition], again[other]
            assert first == again
            assert len(first) + 1 == exported.file_count
        direct = export(name)
        with (
            FileSource(sample_path(name)) as source,
            FileSource(direct.path) as stream,
            open_backup(source) as genuine,
            open_backup(stream) as ours,
        ):
            assert list(ours.container.files) == list(genuine.container.files)
            for file in genuine.container.files:
                assert ours.container.read(file) == genuine.container.read(file), file

    @pytest.mark.slow
    @pytest.mark.parametrize("name", CONTAINER_SAMPLES)
    def test_pbixray_finds_what_it_finds_in_the_genuine_file(self, tmp_path: Path, name: str) -> None:
        """Every table, column, measure and relationship; every value in the varied samples."""
        genuine = PBIXRay(str(sample_path(name)))
        ours = PBIXRay(str(in_pbix(export(name).path, tmp_path)))
        assert list(ours.tables) == list(genuine.tables)
        for table in genuine.tables if name in VARIED else ():
            pd.testing.assert_frame_equal(ours.get_table(table), genuine.get_table(table))
        pd.testing.assert_frame_equal(ours.schema, genuine.schema)
        pd.testing.assert_frame_equal(ours.dax_measures, genuine.dax_measures)
        pd.testing.assert_frame_equal(ours.relationships, genuine.relationships)

    @pytest.mark.slow
    @pytest.mark.parametrize("name", [name for name in CONTAINER_SAMPLES if name != WITH_OLD_METADATA])
    def test_pbix_mcp_finds_what_it_finds_in_the_genuine_file(self, tmp_path: Path, name: str) -> None:
        """The same metadata; every value in the varied samples."""
        stream = export(name).path.read_bytes()
        with FileSource(sample_path(name)) as source, open_backup(source) as opened:
            container = opened.container
            readable = container.encoding is DirectoryEncoding.UTF_8 and not container.header.apply_compression
            plain = opened.source.read_at(0, opened.source.byte_count)
            metadata = bytes(container.read(METADATA_FILE))
        ours = decompress_datamodel(stream)
        assert read_metadata_sqlite(ours) == metadata
        if name not in VARIED:
            return
        with Vault(tmp_path / "none") as vault, vault.open(str(sample_path(name))) as database:
            row_counts = {table.name: table.row_count for table in database.tables}
        found = tables_by_pbix_mcp(ours, row_counts)
        assert {table: len(content["rows"]) for table, content in found.items()} == row_counts
        if readable:  # pbix-mcp knows neither older directories nor files that are compressed one by one
            assert found == tables_by_pbix_mcp(bytes(plain), row_counts)

    @pytest.mark.parametrize("name", DESKTOP_SAMPLES)
    def test_the_container_differs_from_desktops_in_what_is_drawn_and_dated_alone(self, name: str) -> None:
        with (
            FileSource(sample_path(name)) as source,
            FileSource(export(name).path) as stream,
            open_backup(source) as opened,
            open_backup(stream) as exported,
        ):
            genuine, ours = opened.container, exported.container
            assert exported.envelope is Envelope.SINGLE_SESSION
            assert container_bytes(ours) == exported.source.read_at(0, exported.source.byte_count)
            # The log: storage keys and the server's folder.
            log = backup_log.emit(with_keys_and_root_of(ours, genuine))
            assert log == backup_log.emit(genuine.log)
            # The directory: the keys again, the times, the log's own length, and where there are none, the checksums.
            crc_byte_count = 4 if name in WITH_CHECKSUMS else 0
            keys = {file.storage_path: genuine.files[file.name].storage_path for file in ours.files.values()}
            assert [keys.get(entry.path, entry.path) for entry in ours.entries] == [e.path for e in genuine.entries]
            assert [entry.byte_count + crc_byte_count for entry in ours.entries[:-1]] == [
                entry.byte_count for entry in genuine.entries[:-1]
            ]
            # Page 0: offsets and the UUID; two ignored values that older builds fill.
            assert genuine.header.error_code is (name in WITH_CHECKSUMS)
            assert genuine.header.fault_code in ("0", "43981")
            assert genuine.header.encryption_key in ("0", "6")
            assert (genuine.encoding is ours.encoding) is (name not in WITH_OLD_DIRECTORY)
            same = dataclasses.replace(
                ours.header,
                directory_offset=genuine.header.directory_offset,
                directory_byte_count=genuine.header.directory_byte_count,
                object_id=genuine.header.object_id,
                fault_code=genuine.header.fault_code,
                encryption_key=genuine.header.encryption_key,
                error_code=genuine.header.error_code,
            )
            assert header.emit(same) == header.emit(genuine.header)


def with_keys_and_root_of(ours: Container, genuine: Container) -> backup_log.BackupLog:
    """Our log with the storage keys and the server's folder of the genuine one."""
    keys = {ours.files[name].storage_path: file.storage_path for name, file in genuine.files.items()}
    root, other = ours.log.fields["ServerRoot"], genuine.log.fields["ServerRoot"]
    groups = tuple(
        dataclasses.replace(
            group,
            persist_location_path=group.persist_location_path.replace(root, other),
            files=tuple(
                dataclasses.replace(file, path=file.path.replace(root, other), storage_path=keys[file.storage_path])
                for file in group.files
            ),
        )
        for group in ours.log.groups
    )
    return dataclasses.replace(ours.log, fields=ours.log.fields | {"ServerRoot": other}, groups=groups)


def test_a_database_of_a_server_takes_the_profile_of_desktop(tmp_path: Path) -> None:
    with vault_with(tmp_path) as vault:
        vault.backup("shop", "shop.abf", password="påssword")
        with FileSource(tmp_path / "data/storage/backups/shop.abf") as backup:
            exported = export_backup(backup, tmp_path / "shop.DataModel", password="påssword")
        with FileSource(exported.path) as stream, open_backup(stream) as opened:
            container = opened.container
            assert not opened.encrypted
            assert container.encoding is DirectoryEncoding.UTF_8
            assert not container.header.error_code
            assert not container.header.apply_compression
            assert container.log.fields["CompressionFlag"] == "false"
            assert container.log.fields["BackupRestoreSyncVersion"] == "11.53"
            (name,) = (name for name in container.files if name.endswith(".db.xml"))
            assert db_xml.parse(container.read(name), file=name).name == exported.database == "shop"
        vault.import_file(exported.path, "again")
        assert values(vault, "again") == values(vault, "shop")
        assert bodies(vault, "again")[METADATA_FILE] == bodies(vault, "shop")[METADATA_FILE]


def test_the_file_is_for_its_owner_and_group() -> None:
    assert export(SMALL).path.stat().st_mode & 0o007 == 0


class TestFaults:
    def old_file(self, folder: Path) -> Path:
        path = folder / "out" / "shop.DataModel"
        path.parent.mkdir()
        path.write_bytes(b"old")
        return path

    def assert_untouched(self, path: Path) -> None:
        assert path.read_bytes() == b"old"
        assert list(path.parent.iterdir()) == [path]

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        path = self.old_file(tmp_path)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with vault_with(tmp_path) as vault:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
            try:
                with pytest.raises(DiskFullError, match=r"shop\.DataModel: file too large"):
                    export_shop(vault, path)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        self.assert_untouched(path)

    def test_a_cancelled_export_leaves_nothing_whenever_it_is_cancelled(self, tmp_path: Path) -> None:
        path = self.old_file(tmp_path)
        with vault_with(tmp_path) as vault:
            calls = 0

            def count(_: Progress) -> None:
                nonlocal calls
                calls += 1

            export_shop(vault, tmp_path / "other", progress=count)
            assert calls > 40
            for cancel_at in (1, 2, calls // 2, calls):
                calls = 0

                def cancel(_: Progress, limit: int = cancel_at) -> None:
                    nonlocal calls
                    calls += 1
                    if calls == limit:
                        raise JobCancelledError("enough")

                with pytest.raises(JobCancelledError):
                    export_shop(vault, path, progress=cancel)
                self.assert_untouched(path)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_the_file_is_old_or_whole_whichever_call_fails(
        self, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = self.old_file(tmp_path)
        with vault_with(tmp_path) as vault:
            for fail_at in itertools.count(1):
                counter = CallCounter(fail_at=fail_at, when=when, error=OSError(5, "Input/output error"))
                with monkeypatch.context() as patch:
                    names = ["fsync", "replace", *(["open"] if when == "before" else [])]
                    for module in ("tabvault.jobs.data_model", "tabvault.storage.durable"):
                        patch.setattr(f"{module}.os", FaultyModule(os, counter, names))
                    try:
                        export_shop(vault, path)
                    except StorageError:
                        assert counter.has_failed
                assert list(path.parent.iterdir()) == [path]
                if path.read_bytes() != b"old":
                    with FileSource(path) as stream:
                        assert verify_backup(stream).ok
                    path.write_bytes(b"old")
                if not counter.has_failed:
                    break
            assert fail_at > 3

    def test_a_file_damaged_on_disk_leaves_nothing(self, tmp_path: Path) -> None:
        path = self.old_file(tmp_path)
        with vault_with(tmp_path) as vault:
            with vault.folder.read("shop") as version:
                name = next(name for name in version.names() if name.endswith(".dictionary"))
                damaged = version.path(name)
            data = bytearray(damaged.read_bytes())
            data[-1] ^= 1
            damaged.chmod(0o600)
            damaged.write_bytes(data)
            with pytest.raises(ChecksumError, match="it was committed with"):
                export_shop(vault, path)
        self.assert_untouched(path)


def test_memory_does_not_grow_with_the_database(tmp_path: Path) -> None:
    """Twelve times as much, 176 MiB more, needs no more memory; of raw bytes, which no database need be made for."""
    program = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from tabvault.formats.abf.desktop_writer import StoredBody, desktop_container
        from tabvault.formats import xpress9_writer

        def body(piece_count):
            for number in range(piece_count):
                yield number.to_bytes(8, "little") * (1 << 17)

        peaks = []
        for piece_count in (16, 192):
            stored = [StoredBody("A", piece_count << 20, body(piece_count)), StoredBody("LOG", 1, [b"x"])]
            container = desktop_container(stored, object_id="X", now=1)
            total = sum(len(frame) for frame in xpress9_writer.wrap(container))
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        print(peaks[1] - peaks[0])
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 8 << 10  # KiB
