"""CSV files, by hand."""

# ruff: noqa: DTZ001  # a model's dateTime has no zone

from __future__ import annotations

import codecs
import csv
import datetime
import io
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tabvault.errors import SourceError, SourceTypeError
from tabvault.sources.conforming import conformed
from tabvault.sources.definition import SourceDefinition, SourceKind
from tabvault.sources.file_formats import CsvFormat, codec_of
from tabvault.sources.opening import open_source
from tabvault.sources.source import LocalQuery, Source
from tabvault.sources.text_rules import TextRules

if TYPE_CHECKING:
    from pathlib import Path


def source_of(folder: Path, content: bytes, **options: Any) -> Source:
    (folder / "a.csv").write_bytes(content)
    file_format = CsvFormat(**{"has_header": True, **options})
    definition = SourceDefinition(kind=SourceKind.FILE, path=str(folder / "a.csv"), file_format=file_format)
    return open_source(definition, None, allowed_folders=[folder])


def read_all(source: Source, local: LocalQuery | None = None) -> list[dict[str, Any]]:
    with source.read("", local=local) as rows:
        return [row for batch in rows for row in batch.to_pylist()]


def as_model(source: Source, schema: pa.Schema, rules: TextRules | None = None) -> list[tuple[Any, ...]]:
    with source.read("") as rows:
        return [tuple(row.values()) for batch in conformed(rows, schema, rules=rules) for row in batch.to_pylist()]


def test_quotes_line_breaks_and_delimiters_in_fields_are_part_of_them(tmp_path: Path) -> None:
    content = b'name,note\r\n"Doe, Jo","two\r\nlines"\r\n"say ""hi""",""\r\nplain, x \r\n'
    assert read_all(source_of(tmp_path, content)) == [
        {"name": "Doe, Jo", "note": "two\r\nlines"},
        {"name": 'say "hi"', "note": ""},
        {"name": "plain", "note": " x "},
    ]


def test_without_quoted_line_breaks_every_line_is_a_row(tmp_path: Path) -> None:
    content = b'a,b\n"x",y\n"z",w\n'
    source = source_of(tmp_path, content, has_quoted_line_breaks=False)
    assert read_all(source) == [{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]


@pytest.mark.parametrize(
    ("mark", "encoding", "said"),
    [
        (codecs.BOM_UTF8, "utf-8", "cp1252"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-8"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-8"),
        (b"", "utf-8", codec_of(65001)),
        (b"", "utf-16-le", codec_of(1200)),
        (b"", "cp1252", codec_of(1252)),
        (b"", "iso8859-15", codec_of(28605)),
    ],
)
def test_a_byte_order_mark_decides_over_the_encoding(tmp_path: Path, mark: bytes, encoding: str, said: str) -> None:
    content = mark + 'größe;preis\n"5 €";é\n'.encode(encoding)
    assert read_all(source_of(tmp_path, content, delimiter=";", encoding=said)) == [{"größe": "5 €", "preis": "é"}]


def test_bytes_that_are_not_of_the_encoding_are_refused(tmp_path: Path) -> None:
    for content in (b"a\n\xff\xfe\n", b"\xff\xff,b\n1,2\n"):
        with pytest.raises(SourceError):
            read_all(source_of(tmp_path, content))


def test_a_code_page_that_is_not_known_is_refused() -> None:
    with pytest.raises(SourceError, match="code page 37 "):
        codec_of(37)


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"d;n;m\n31.01.2024;1.234,5;-0,25\n1.2.2024 08:30;7;\n", delimiter=";")
    schema = pa.schema([("d", pa.timestamp("us")), ("n", pa.float64()), ("m", pa.decimal128(19, 4))])
    rules = TextRules(decimal_separator=",", group_separator=".", date_order="dmy")
    assert as_model(source, schema, rules) == [
        (datetime.datetime(2024, 1, 31), 1234.5, Decimal("-0.25")),
        (datetime.datetime(2024, 2, 1, 8, 30), 7.0, None),
    ]


@pytest.mark.parametrize("text", ["1.5", "1,2,3", "1.23,5", "12.3456,0", ",", "1,5-", "0x1F", "1 000", "1_000", "NaN"])
def test_a_number_of_other_rules_is_refused_and_not_misread(tmp_path: Path, text: str) -> None:
    rules = TextRules(decimal_separator=",", group_separator=".")
    with pytest.raises(SourceTypeError, match="column 'n', row 2"):
        as_model(
            source_of(tmp_path, f"n;x\n1;\n{text};\n".encode(), delimiter=";"), pa.schema([("n", pa.float64())]), rules
        )


def test_an_empty_field_is_null_but_as_text(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"n,s,b,d\n,,,\n")
    schema = pa.schema([("n", pa.int64()), ("s", pa.string()), ("b", pa.bool_()), ("d", pa.timestamp("us"))])
    assert as_model(source, schema) == [(None, "", None, None)]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"1,2\n3,4", has_header=False)
    assert read_all(source) == [{"Column1": "1", "Column2": "2"}, {"Column1": "3", "Column2": "4"}]


def test_columns_can_be_counted_and_named(tmp_path: Path) -> None:
    content = b"1,2\n3,4\n"
    assert read_all(source_of(tmp_path, content, has_header=False, column_count=1))[0] == {"Column1": "1"}
    more = read_all(source_of(tmp_path, content, has_header=False, column_count=3))[0]
    assert more == {"Column1": "1", "Column2": "2", "Column3": None}
    named = source_of(tmp_path, content, has_header=False, column_count=2, column_names=("x", "y"))
    assert read_all(named)[1] == {"x": "3", "y": "4"}


def test_a_row_of_another_length_is_refused(tmp_path: Path) -> None:
    for content in (b"a,b\n1,2\n3\n", b"a,b\n1,2\n3,4,5\n"):
        with pytest.raises(SourceError, match="Expected 2 columns"):
            read_all(source_of(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", []),
        (b"a,b\n", []),
        (b"a,b", []),
        (b"\n\na,b\n\n1,2\n\n", [{"a": "1", "b": "2"}]),
        (b"a\n1\n\n2\n", [{"a": "1"}, {"a": ""}, {"a": "2"}]),
        (b"a,b\r1,2\r", [{"a": "1", "b": "2"}]),
        (b'"a\nb",c\n1,2\n', [{"a\nb": "1", "c": "2"}]),
    ],
)
def test_lines_without_fields(tmp_path: Path, content: bytes, rows: list[dict[str, str]]) -> None:
    assert read_all(source_of(tmp_path, content)) == rows


def test_a_row_that_no_block_holds_is_refused(tmp_path: Path) -> None:
    content = b"a,b\n1," + b"x" * (20 << 20) + b"\n"
    with pytest.raises(SourceError, match="CSV"):
        read_all(source_of(tmp_path, content))


def test_rows_can_be_chosen_here(tmp_path: Path) -> None:
    source = source_of(tmp_path, b"n,s\n1,a\n2,b\n3,c\n")
    local = LocalQuery("SELECT s AS name, CAST(n AS BIGINT) * 10 AS tens FROM source WHERE CAST(n AS BIGINT) > 1")
    assert read_all(source, local) == [{"name": "b", "tens": 20}, {"name": "c", "tens": 30}]
    with pytest.raises(SourceError, match="disabled"):
        read_all(source, LocalQuery(f"SELECT * FROM read_csv('{tmp_path}/a.csv')"))
    with pytest.raises(SourceError, match="takes no query"):
        source.columns("SELECT 1")


def test_what_is_wrong_with_the_file_comes_through_a_local_query(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"file .*a\.csv could not be read as CSV"):
        read_all(source_of(tmp_path, b"a,b\n1,2\n3\n"), LocalQuery("SELECT count(*) AS n FROM source"))


def test_columns_are_told_without_rows(tmp_path: Path) -> None:
    assert [column.name for column in source_of(tmp_path, b"b,a\n" + b"1,2\n" * 100_000).columns("")] == ["b", "a"]


def test_a_large_file_streams(tmp_path: Path) -> None:
    content = b"n,s\n" + b"".join(b'%d,"some text, %d"\n' % (number, number) for number in range(600_000))
    source = source_of(tmp_path, content)
    before = pa.total_allocated_bytes()
    with source.read("", batch_row_count=10_000) as rows:
        count = most = 0
        for batch in rows:
            assert batch.num_rows <= 10_000
            count += batch.num_rows
            most = max(most, pa.total_allocated_bytes() - before)
    assert count == 600_000
    assert most < 4 * (8 << 20) + (8 << 20)


fields = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=6)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(fields, fields), min_size=1, max_size=5), st.sampled_from([",", ";", "\t", "|"]))
def test_what_python_writes_as_csv_is_read_back(tmp_path: Path, rows: list[tuple[str, str]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    source = source_of(tmp_path, text.getvalue().encode(), delimiter=delimiter)
    assert [tuple(row.values()) for row in read_all(source)] == rows
