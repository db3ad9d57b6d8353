"""Every kind of refresh on a database, a table and a partition: what is read, what stays, what is made anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from refreshes import all_types, differences, parquet_partition, shop, table_of

from tabvault.errors import ProcessingError, RequestError
from tabvault.jobs.processing.request import RefreshRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refreshes import Shop

READY, NO_DATA, CALCULATION_NEEDED = 1, 3, 4
OLD = all_types(1000)
NEW = all_types(400, first=1000)
KEYS = pa.table({"Key": pa.array(range(1400), pa.int64()), "Group": pa.array([f"g{n % 9}" for n in range(1400)])})
RELATIONSHIP = {"name": "r", "fromTable": "Facts", "fromColumn": "Key", "toTable": "Keys", "toColumn": "Key"}


@pytest.fixture
def facts(tmp_path: Path) -> Iterator[Shop]:
    """Two tables, one of two partitions; never refreshed."""
    with shop(tmp_path) as made:
        made.create(
            table_of(
                "Facts",
                OLD,
                parquet_partition("old", made.files / "old.parquet", OLD),
                parquet_partition("new", made.files / "new.parquet", NEW),
            ),
            table_of("Keys", KEYS, parquet_partition("Keys", made.files / "keys.parquet", KEYS)),
            relationships=[RELATIONSHIP],
        )
        yield made


def states(shop: Shop) -> dict[str, int]:
    return dict(shop.cells("Partition", "Name", "State"))


def times(shop: Shop) -> dict[str, int]:
    return dict(shop.cells("Partition", "Name", "RefreshedTime"))


@pytest.mark.parametrize("kind", ["full", "dataOnly", "automatic"])
def test_everything_is_read_into_a_new_database(facts: Shop, kind: str) -> None:
    assert set(states(facts).values()) == {NO_DATA}
    result = facts.refresh(kind)
    assert {(one.table, one.partition): one.row_count for one in result.partitions} == {
        ("Facts", "old"): 1000,
        ("Facts", "new"): 400,
        ("Keys", "Keys"): 1400,
    }
    assert result.row_count == 2800
    assert result.byte_count > 0
    assert differences(facts.rows("Facts"), pa.concat_tables([OLD, NEW])) == 0
    assert differences(facts.rows("Keys"), KEYS) == 0
    assert set(states(facts).values()) == {READY}
    assert facts.cells("Relationship", "State") == [(READY,)]
    facts.check()


def test_automatic_reads_only_the_partition_that_is_not_up_to_date(facts: Shop) -> None:
    facts.refresh()
    before, version = times(facts), facts.version()
    result = facts.refresh("automatic")
    assert result.partitions == ()
    assert (times(facts), facts.version()) == (before, version)
    facts.refresh("clearValues", ("Facts", "new"))
    assert states(facts) == {"old": READY, "new": NO_DATA, "Keys": READY}
    assert differences(facts.rows("Facts"), OLD) == 0
    facts.check()
    result = facts.refresh("automatic")
    assert [one.partition for one in result.partitions] == ["new"]
    assert differences(facts.rows("Facts"), pa.concat_tables([OLD, NEW])) == 0
    assert facts.cells("Relationship", "State") == [(READY,)]
    after = times(facts)
    assert {name for name in after if after[name] != before[name]} == {"new"}
    facts.check()


def test_a_partition_is_read_anew_and_the_others_stay(facts: Shop) -> None:
    facts.refresh()
    before = times(facts)
    changed = all_types(300, first=5000)
    parquet_partition("new", facts.files / "new.parquet", changed)
    parquet_partition("old", facts.files / "old.parquet", changed)
    parquet_partition("Keys", facts.files / "keys.parquet", KEYS.slice(0, 10))
    result = facts.refresh("full", ("Facts", "new"))
    assert [(one.partition, one.row_count) for one in result.partitions] == [("new", 300)]
    assert differences(facts.rows("Facts"), pa.concat_tables([OLD, changed])) == 0
    assert differences(facts.rows("Keys"), KEYS) == 0
    after = times(facts)
    assert {name for name in after if after[name] != before[name]} == {"new"}
    facts.check()
    facts.refresh("full", "Keys")
    assert facts.rows("Keys").num_rows == 10
    facts.check()


def test_values_that_are_cleared_are_gone_and_come_back_with_the_next_refresh(facts: Shop) -> None:
    facts.refresh()
    facts.refresh("clearValues")
    assert facts.rows("Facts").num_rows == facts.rows("Keys").num_rows == 0
    assert set(states(facts).values()) == {NO_DATA}
    facts.check()
    facts.refresh("full")
    assert differences(facts.rows("Facts"), pa.concat_tables([OLD, NEW])) == 0
    facts.check()


def test_rows_are_added_behind_those_that_are_there(facts: Shop) -> None:
    facts.refresh()
    more = all_types(250, first=9000)
    parquet_partition("old", facts.files / "old.parquet", more)
    result = facts.refresh("add", ("Facts", "old"))
    assert [(one.partition, one.row_count) for one in result.partitions] == [("old", 1250)]
    assert differences(facts.rows("Facts"), pa.concat_tables([OLD, more, NEW])) == 0
    facts.check()


def test_rows_are_added_to_a_partition_that_never_had_any(facts: Shop) -> None:
    assert facts.refresh("add", ("Facts", "old")).row_count == 1000
    assert differences(facts.rows("Facts"), OLD) == 0
    assert states(facts) == {"old": READY, "new": NO_DATA, "Keys": NO_DATA}
    facts.check()


def test_a_segment_that_is_full_stays_when_rows_are_added(tmp_path: Path) -> None:
    row_count = 1 << 20
    full = pa.table({"Number": pa.array(range(row_count), pa.int64())})
    more = pa.table({"Number": pa.array(range(row_count, row_count + 10), pa.int64())})
    with shop(tmp_path) as made:
        made.create(table_of("Long", full, parquet_partition("p", made.files / "p.parquet", full)))
        made.refresh()
        parquet_partition("p", made.files / "p.parquet", more)
        assert made.refresh("add", "Long").row_count == row_count + 10
        assert differences(made.rows("Long"), pa.concat_tables([full, more])) == 0
        counts = made.cells("SegmentMapStorage", "RecordCount", "SegmentCount", "RecordsPerSegment")
        assert (row_count + 10, 2, row_count) in counts
        assert made.vault.verify("shop").ok


def test_defragmenting_takes_out_what_no_row_uses(facts: Shop) -> None:
    facts.refresh()
    parquet_partition("old", facts.files / "old.parquet", OLD.slice(0, 5))
    facts.refresh("full", ("Facts", "old"))
    before, rows = entry_count(facts, "Octets"), facts.rows("Facts")
    result = facts.refresh("defragment", "Facts")
    assert result.partitions == ()
    assert result.tables == ("Facts",)
    assert entry_count(facts, "Octets") < before
    assert facts.rows("Facts").equals(rows)
    facts.check()


def entry_count(shop: Shop, column: str) -> int:
    """Entries of the dictionary of a column of the table Facts."""
    with shop.vault.open("shop") as opened:
        for table in opened.model.tables:
            for one in table.columns:
                if (table.name, one.name) == ("Facts", column):
                    assert one.storage is not None
                    assert one.storage.dictionary is not None
                    return one.storage.dictionary.last_id
    raise AssertionError


def test_calculate_makes_what_is_missing_of_rows_that_are_there(facts: Shop) -> None:
    facts.refresh()
    facts.add(
        "Relationship", {**RELATIONSHIP, "name": "two", "isActive": False, "toColumn": "Key"} | {"fromColumn": "Whole"}
    )
    levels = [{"name": name, "ordinal": place, "column": name} for place, name in enumerate(("Group", "Key"))]
    facts.add("Hierarchy", {"name": "h", "levels": levels}, "Keys")
    assert dict(facts.cells("Relationship", "Name", "State"))["two"] != READY
    assert facts.cells("Hierarchy", "Name", "State") != [("h", READY)]
    before = times(facts)
    result = facts.refresh("calculate")
    assert result.partitions == ()
    assert dict(facts.cells("Relationship", "Name", "State")) == {"r": READY, "two": READY}
    assert facts.cells("Hierarchy", "Name", "State") == [("h", READY)]
    assert times(facts) == before
    facts.check()
    version = facts.version()
    assert facts.refresh("calculate").tables == ()
    assert facts.version() == version


def test_a_column_that_was_added_gets_its_values_with_the_next_automatic_refresh(facts: Shop) -> None:
    facts.refresh()
    wide = OLD.append_column("Extra", pa.array(range(1000), pa.int64()))
    parquet_partition("old", facts.files / "old.parquet", wide)
    parquet_partition("new", facts.files / "new.parquet", wide)
    facts.add("Column", {"name": "Extra", "dataType": "int64", "sourceColumn": "Extra"}, "Facts")
    with pytest.raises(ProcessingError, match="'Extra' has no values for the rows of 'Facts' that stay"):
        facts.refresh("full", ("Facts", "new"))
    result = facts.refresh("automatic")
    assert {one.partition for one in result.partitions} == {"old", "new"}
    assert differences(facts.rows("Facts"), pa.concat_tables([wide, wide])) == 0
    facts.check()


def test_as_many_partitions_are_read_at_a_time_as_are_asked_for_and_no_more_than_is_sensible(facts: Shop) -> None:
    for parallelism in (0, 65):
        with pytest.raises(RequestError, match="from 1 to 64"):
            facts.refresh("full", parallelism=parallelism)
    assert facts.refresh("full", parallelism=1).row_count == 2800
    assert RefreshRequest.__dataclass_fields__["parallelism"].default == 4
