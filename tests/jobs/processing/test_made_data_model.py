"""A database that was made and refreshed here, as Power BI Desktop's ``DataModel``: other readers find its sources."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from pbix_mcp.formats.abf_rebuild import read_metadata_sqlite
from pbix_mcp.formats.datamodel_roundtrip import decompress_datamodel
from pbix_mcp.formats.vertipaq_decoder import read_table_from_abf
from pbixray import PBIXRay
from refreshes import Shop, all_types, assert_equal, differences, parquet_partition, plain, shop, table_of

from tabvault.jobs.creation import create_database
from tabvault.jobs.data_model import export_database
from tabvault.model.tmsl.parse import object_tree
from tabvault.testing.retail import retail, retail_model

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


def exported(made: Shop, folder: Path) -> Path:
    with made.vault.folder.read("shop") as version:
        return export_database(version, folder / "shop.DataModel").path


def comparable(value: Any) -> Any:
    """A value of a source as pbix-mcp gives it: decimals as the nearest float."""
    return float(value) if isinstance(value, Decimal) else value


def check_by_other_readers(made: Shop, stream: Path, sources: dict[str, pa.Table]) -> None:
    peer = PBIXRay(str(stream))
    container = decompress_datamodel(stream.read_bytes())
    metadata = read_metadata_sqlite(container)
    for name, source in sources.items():
        ours = made.rows(name)
        assert differences(ours, source) == 0
        theirs = peer.get_table(name)
        for column in source.column_names:
            assert_equal(ours.column(column), theirs[column], f"{name}[{column}]")
        found = read_table_from_abf(container, name, metadata)
        columns = [source.column(column).to_pylist() for column in found["columns"]]
        assert set(found["columns"]) == set(source.column_names)
        assert Counter(map(tuple, found["rows"])) == Counter(
            zip(*([comparable(value) for value in column] for column in columns), strict=True)
        )


@pytest.mark.slow
def test_pbix_mcp_and_pbixray_find_every_value_of_the_retail_sources(tmp_path: Path) -> None:
    sources = dict(retail(sales_row_count=10_000).tables)
    with shop(tmp_path) as made:
        for name, rows in sources.items():
            pq.write_table(rows, made.files / f"{name}.parquet")
        model = retail_model(lambda name: parquet_partition(name, made.files / f"{name}.parquet")["source"])
        tree = object_tree("Model", model, place="model")
        create_database(made.vault.own_folder, "shop", compatibility_level=1550, model=tree)
        made.refresh()
        stream = exported(made, tmp_path)
        check_by_other_readers(made, stream, sources)
        made.vault.import_file(stream, "again")
        assert made.vault.verify("again").ok
        with made.vault.folder.read("shop") as first, made.vault.folder.read("again") as again:
            names = [name for name in first.names() if not name.endswith(".db.xml")]
            assert [name for name in again.names() if not name.endswith(".db.xml")] == names
            assert all(first.read(name) == again.read(name) for name in names)


@pytest.mark.parametrize("row_count", [1, 4000])
def test_pbixray_finds_every_value_of_every_type(tmp_path: Path, row_count: int) -> None:
    rows = all_types(row_count)
    with shop(tmp_path) as made:
        made.create(table_of("Types", rows, parquet_partition("one", made.files / "types.parquet", rows)))
        made.refresh()
        peer = PBIXRay(str(exported(made, tmp_path)))
        theirs = peer.get_table("Types")
        ours = plain(made.rows("Types"))
        assert differences(ours, rows) == 0
        for column in rows.column_names:
            assert_equal(ours.column(column), theirs[column], column)
