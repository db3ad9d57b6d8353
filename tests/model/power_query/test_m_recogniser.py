"""M to recipe: what is recognised, by hand and in the genuine samples, and what is refused by name."""

# ruff: noqa: DTZ001 - datetimes of M have no zone
from __future__ import annotations

import base64
import datetime
import json
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from m_samples import genuine_expressions

from tabvault.errors import ExpressionNotSupportedError, TabvaultError
from tabvault.model.power_query import recipe as r
from tabvault.model.power_query.conditions import (
    All,
    Any,
    AnyOfValues,
    Arithmetic,
    Column,
    Comparison,
    Conditional,
    Constant,
    IsTrue,
    Joined,
    Not,
    TextTest,
)
from tabvault.model.power_query.recogniser import recognise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tabvault.model.power_query.values import Value

TABLE = '#table({"A", "B"}, {{1, "x"}, {null, "y"}})'


def recipe(text: str, *, queries: Mapping[str, str] | None = None, **parameters: Value) -> r.Recipe:
    return recognise(text, queries=queries or {}, parameters=parameters, culture="en-US")


def step(text: str) -> r.Step:
    """The step that M makes of *text*, in which T is the table."""
    (only,) = recipe(f"let T = {TABLE}, S = {text} in S").steps
    return only


def refusal(text: str, **queries: str) -> str:
    with pytest.raises(ExpressionNotSupportedError) as caught:
        recipe(text, queries=queries)
    assert caught.value.hint
    return caught.value.message


def test_the_genuine_partitions_are_recognised_or_refused_by_a_function_that_is_not() -> None:
    reasons: Counter[str] = Counter()
    partitions = [one for one in genuine_expressions() if one.is_partition]
    for one in partitions:
        try:
            found = recognise(one.text, queries=one.queries, parameters={}, culture="en-US")
        except ExpressionNotSupportedError as refused:
            what = refused.message.split('": ')[-1].removesuffix(" is not recognised")
            assert what.split(" where ")[0] in one.text or any(what in text for text in one.queries.values())
            reasons[what] += 1
        else:
            reasons[type(found.source).__name__] += 1
    print(*(f"{count:4} {reason}" for reason, count in reasons.most_common()), sep="\n")  # noqa: T201 - counts
    recognised = sum(
        reasons[name] for name in ("ExcelTable", "LiteralTable", "NativeQuery", "DatabaseTable", "CsvFile")
    )
    assert recognised > 0.8 * len(partitions)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (
            'Csv.Document(File.Contents("C:\\a"), [Delimiter=";", Columns=7,Encoding=1252,QuoteStyle=QuoteStyle.None])',
            r.CsvFile("C:\\a", ";", 7, None, 1252, False),
        ),
        ('Csv.Document(File.Contents("a" & ".csv"))', r.CsvFile("a.csv", ",", None, None, 65001, True)),
        (
            'Csv.Document(File.Contents("a"), {"X", "Y"}, "#(tab)", null, TextEncoding.Utf16)',
            r.CsvFile("a", "\t", 2, ("X", "Y"), 1200, True),
        ),
        ('Parquet.Document(File.Contents("p"))', r.ParquetFile("p")),
        (
            'Excel.Workbook(File.Contents("w"), null, true){[Item="S 1",Kind="Sheet"]}[Data]',
            r.ExcelTable("w", "S 1", "Sheet", False),
        ),
        (
            'Excel.Workbook(File.Contents("w"), [UseHeaders=true]){[Name="T"]}[Data]',
            r.ExcelTable("w", "T", None, True),
        ),
        (
            'PostgreSQL.Database("h:5432", "d", [CreateNavigationProperties=false]){[Schema="p", Item="t"]}[Data]',
            r.DatabaseTable(r.DatabaseServer("postgresql", "h:5432", "d"), ("p", "t")),
        ),
        (
            'Sql.Database("h,1433", "d"){[Schema="dbo",Item="t"]}[Data]',
            r.DatabaseTable(r.DatabaseServer("sql_server", "h,1433", "d"), ("dbo", "t")),
        ),
        (
            'Sql.Databases("h"){[Name="d"]}[Data]{[Schema="dbo",Item="t"]}[Data]',
            r.DatabaseTable(r.DatabaseServer("sql_server", "h", "d"), ("dbo", "t")),
        ),
        (
            'Sql.Database("h", "d", [HierarchicalNavigation=true]){[Schema="dbo"]}[Data]{[Name="t"]}[Data]',
            r.DatabaseTable(r.DatabaseServer("sql_server", "h", "d"), ("dbo", "t")),
        ),
        (
            'Sql.Database("h", "d", [Query="select#(lf)1"])',
            r.NativeQuery(r.DatabaseServer("sql_server", "h", "d"), "select\n1"),
        ),
        (
            'Value.NativeQuery(PostgreSQL.Database("h", "d"), "select 1", null, [EnableFolding=true])',
            r.NativeQuery(r.DatabaseServer("postgresql", "h", "d"), "select 1"),
        ),
        (
            'Odbc.DataSource("dsn=x"){[Name="d",Kind="Database"]}[Data]{[Name="s",Kind="Schema"]}[Data]{[Name="t"]}[Data]',
            r.DatabaseTable(r.DatabaseServer("odbc", connection_string="dsn=x"), ("d", "s", "t")),
        ),
        (
            'Odbc.Query([Driver="{X}", Server="h;1"], "select 2")',
            r.NativeQuery(r.DatabaseServer("odbc", connection_string="Driver={{X}}};Server={h;1}"), "select 2"),
        ),
        (TABLE, r.LiteralTable(("A", "B"), ((1, "x"), (None, "y")))),
        ("Table.FromRows({{1.5, true}}, 2)", r.LiteralTable(("Column1", "Column2"), ((1.5, True),))),
        (
            "#table(type table [D = date], {{#date(2020, 2, 29)}})",
            r.LiteralTable(("D",), ((datetime.date(2020, 2, 29),),)),
        ),
    ],
)
def test_a_source_is_recognised(text: str, source: r.Source) -> None:
    found = recipe(f"let Source = {text} in Source")
    assert found.source == source
    assert found.steps == ()


def entered(rows: object) -> str:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(json.dumps(rows).encode()) + compressor.flush()
    return (
        f'Table.FromRows(Json.Document(Binary.Decompress(Binary.FromText("{base64.b64encode(packed).decode()}",'
        " BinaryEncoding.Base64), Compression.Deflate)), let _t = ((type nullable text) meta [Serialized.Text = true])"
        ' in type table [A = _t, #"B b" = _t])'
    )  # fmt: skip


def test_typed_in_rows_are_their_values() -> None:
    found = recipe(entered([["1", "é"], ["", None]]))
    assert found.source == r.LiteralTable(("A", "B b"), (("1", "é"), ("", None)))


@pytest.mark.parametrize(
    "rows", [[["1"]], [["1", "2", "3"]], [["1", ["2"]]], [["1", {}]], {"a": 1}, "x", [1], [["1", float("nan")]]]
)
def test_typed_in_rows_of_another_shape_are_refused(rows: object) -> None:
    assert "cannot refresh here" in refusal(entered(rows))


def test_typed_in_rows_that_end_early_are_refused() -> None:
    whole = entered([["1", "2"]] * 50)
    begin = whole.index('"') + 1
    for cut in range(0, whole.index('"', begin) - begin, 4):
        assert "damaged" in refusal(whole[: begin + cut] + whole[whole.index('"', begin) :])


def test_typed_in_rows_nested_too_deeply_are_refused() -> None:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = base64.b64encode(compressor.compress(b"[" * 200_000) + compressor.flush()).decode()
    text = f'Table.FromRows(Json.Document(Binary.Decompress(Binary.FromText("{packed}"), Compression.Deflate)))'
    assert "damaged" in refusal(text)


A, B = Column("A"), Column("B")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("each [A] = null", Comparison("=", A, Constant(None))),
        ("each 5 < [A]", Comparison(">", A, Constant(5))),
        ("(row) => row[A] <> -1.5", Comparison("<>", A, Constant(-1.5))),
        ('each [A] > 1 and [B] = "x" and not ([A] = [B])', All((
            Comparison(">", A, Constant(1)), Comparison("=", B, Constant("x")), Not(Comparison("=", A, B)),
        ))),
        ("each [A] = 1 or [A] = 2", Any((Comparison("=", A, Constant(1)), Comparison("=", A, Constant(2))))),
        ('each Text.StartsWith([B], "x")', TextTest("starts", B, "x")),
        ('each not Text.Contains([B], "x", Comparer.Ordinal)', Not(TextTest("contains", B, "x"))),
        ("each List.Contains({1, null}, [A])", AnyOfValues(A, (1, None))),
        ("each [A]", IsTrue(A)),
        ("each [A] >= #datetime(2020, 1, 1, 0, 0, 0.5)", Comparison(
            ">=", A, Constant(datetime.datetime(2020, 1, 1, 0, 0, 0, 500_000)))),
        ("let limit = 3, f = each [A] < limit in f", Comparison("<", A, Constant(3))),
    ],
)  # fmt: skip
def test_a_condition_is_recognised(text: str, condition: object) -> None:
    assert step(f"Table.SelectRows(T, {text})") == r.SelectRows("S", condition)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Table.PromoteHeaders(T, [PromoteAllScalars=true])", r.PromoteHeaders("S", True)),
        ("Table.PromoteHeaders(T)", r.PromoteHeaders("S", False)),
        (
            'Table.TransformColumnTypes(T, {{"A", Int64.Type}, {"B", type nullable text}}, "de-DE")',
            r.TransformColumnTypes("S", (("A", "int64"), ("B", "text")), "de-DE"),
        ),
        (
            'Table.TransformColumnTypes(T, {"A", Currency.Type})',
            r.TransformColumnTypes("S", (("A", "currency"),), "en-US"),
        ),
        ('Table.SelectColumns(T, "A")', r.SelectColumns("S", ("A",), False)),
        ('Table.RemoveColumns(T, {"A"}, MissingField.Ignore)', r.RemoveColumns("S", ("A",), True)),
        ('Table.RenameColumns(T, {{"A", "B"}, {"B", "A"}})', r.RenameColumns("S", (("A", "B"), ("B", "A")), False)),
        ('Table.ReorderColumns(T, {"B", "A"})', r.ReorderColumns("S", ("B", "A"), False)),
        ("Table.Skip(T)", r.Skip("S", 1)),
        ("Table.FirstN(T, 10)", r.FirstRows("S", 10)),
        ("Table.Distinct(T)", r.Distinct("S", None)),
        ('Table.Distinct(T, {"A"})', r.Distinct("S", ("A",))),
        (
            'Table.Sort(T, {{"A", Order.Descending}, "B", {"C"}})',
            r.Sort("S", (("A", True), ("B", False), ("C", False))),
        ),
        ('Table.Sort(T, {"A", Order.Descending})', r.Sort("S", (("A", True),))),
        ('Table.ReplaceValue(T, null, 0, Replacer.ReplaceValue, {"A"})', r.ReplaceValue("S", None, 0, False, ("A",))),
        (
            'Table.ReplaceValue(T, "M", "Male", Replacer.ReplaceText, {"B"})',
            r.ReplaceValue("S", "M", "Male", True, ("B",)),
        ),
        (
            'Table.TransformColumns(T, {{"A", Text.Trim, type text}, {"B", each Text.Upper(_)}})',
            r.TransformText("S", (("A", "trim"), ("B", "upper"))),
        ),
        ('Table.AddColumn(T, "C", each [A] * 2, Int64.Type)', r.AddColumn("S", "C", Arithmetic("*", A, Constant(2)))),
        (
            'Table.AddColumn(T, "C", each [B] & "-" & [B])',
            r.AddColumn("S", "C", Joined((Joined((B, Constant("-"))), B))),
        ),
        (
            'Table.AddColumn(T, "C", each if [A] = 1 then "x" else null)',
            r.AddColumn("S", "C", Conditional(Comparison("=", A, Constant(1)), Constant("x"), Constant(None))),
        ),
    ],
)  # fmt: skip
def test_a_step_is_recognised(text: str, expected: r.Step) -> None:
    assert step(text) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('Table.ExpandTableColumn(T, "A", {"x"})', 'step "S": Table.ExpandTableColumn is not recognised'),
        ('Table.AddColumn(T, "C", each Date.AddDays([A], 1))', 'step "S": Date.AddDays'),
        ("Table.SelectRows(T, each DateTime.LocalNow() > [A])", "DateTime.LocalNow"),
        ('Table.SelectRows(T, each Text.Contains([B], "x", Comparer.OrdinalIgnoreCase))', "Text.Contains with a"),
        ("Table.SelectRows(T, each [A] = 1 or f([A]))", 'step "S": f'),
        ("Table.SelectRows(T, (a, b) => true)", "where a function of a row is expected"),
        ("Table.FirstN(T, each [A] > 1)", "a construct of M"),
        ('Table.TransformColumnTypes(T, {{"A", Int8.Type}})', "Table.TransformColumnTypes to Int8.Type"),
        ('Table.SelectColumns(T, "A", MissingField.UseNull)', "MissingField.UseNull"),
        ('Table.ReplaceValue(T, 1, 2, (a, b, c) => a, {"A"})', "Table.ReplaceValue with"),
        ('error "no"', "a construct of M (Raise) is not recognised"),
        ("S", 'step "S": it stands for itself'),
        ("Table.Skip(Table.FirstN(S, 1))", "it stands for itself"),
        ('Json.Document(File.Contents("x"))', "Json.Document is not recognised"),
        ('Csv.Document(Web.Contents("http://x"))', "Web.Contents where File.Contents is expected"),
        ('Csv.Document(File.Contents("x"), [Delimiter="ab"])', "the delimiter"),
        ('Excel.Workbook(File.Contents("x")){0}[Data]', "navigation by a position"),
        ('Excel.Workbook(File.Contents("x"))', "without the name of a sheet or table"),
        ('PostgreSQL.Database("h", "d")', "without the name of a table"),
        ('Sql.Database("h", "d", [ContextInfo=1]){[Schema="s", Item="t"]}[Data]', "the option ContextInfo"),
        ('Value.NativeQuery(Sql.Database("h", "d"), "q", [a=1])', "with parameters"),
        ('Odbc.Query("dsn=x;pwd=y", "q")', "bind these on the server"),
        ('MySQL.Database("h", "d")', "MySQL.Database is not recognised"),
    ],
)  # fmt: skip
def test_what_is_not_recognised_is_refused_by_step_and_function(text: str, what: str) -> None:
    assert what in refusal(f"let T = {TABLE}, S = {text} in S")


def test_parameters_and_other_queries_are_followed() -> None:
    queries = {
        "Server Name": '"host" meta [IsParameterQuery=true, Type="Text"]',
        "Base": 'let S = PostgreSQL.Database(#"Server Name", "d"){[Schema="p", Item="t"]}[Data] in Table.Skip(S, 2)',
        "RangeStart": "#datetime(2000, 1, 1, 0, 0, 0) meta [IsParameterQuery=true]",
    }
    text = "let S = Base, F = Table.SelectRows(S, each [A] >= RangeStart) in F"
    own = recipe(text, queries=queries)
    assert own.source == r.DatabaseTable(r.DatabaseServer("postgresql", "host", "d"), ("p", "t"))
    assert own.steps == (
        r.Skip("Base", 2),
        r.SelectRows("F", Comparison(">=", A, Constant(datetime.datetime(2000, 1, 1)))),
    )
    assert own.parameters == frozenset()
    bound = recipe(text, queries=queries, RangeStart=datetime.datetime(2024, 7, 1))
    assert bound.steps[1] == r.SelectRows("F", Comparison(">=", A, Constant(datetime.datetime(2024, 7, 1))))
    assert bound.parameters == {"RangeStart"}


def test_a_variable_hides_a_bound_parameter() -> None:
    found = recipe(f"let RangeStart = 1, F = Table.FirstN({TABLE}, RangeStart) in F", RangeStart=5)
    assert found.steps == (r.FirstRows("F", 1),)
    assert found.parameters == frozenset()


def test_queries_that_stand_for_each_other_are_refused() -> None:
    assert "stands for itself" in refusal("X", X="let A = Y in A", Y="X")
    assert "stands for itself" in refusal("Table.Skip(X)", X="Table.Skip(Y)", Y="Table.Skip(X)")


def test_constants_that_double_themselves_end_in_bounded_time() -> None:
    doubled = ", ".join(f"v{n} = v{n + 1} & v{n + 1}" for n in range(60))
    assert "cannot refresh here" in refusal(f'let {doubled}, v60 = "" in Csv.Document(File.Contents(v0))')


def test_a_long_line_of_names_is_followed_once() -> None:
    names = ", ".join(f"v{n} = v{n + 1}" for n in range(5000))
    found = recipe(f"let {names}, v5000 = {TABLE} in v0")
    assert isinstance(found.source, r.LiteralTable)


def test_a_thousand_steps_are_followed_and_more_are_refused() -> None:
    def chain(count: int) -> str:
        steps = ", ".join(f"s{n} = Table.Skip(s{n - 1}, 1)" for n in range(1, count + 1))
        return f"let s0 = {TABLE}, {steps} in s{count}"

    assert len(recipe(chain(1000)).steps) == 1000
    assert "more than 1000 steps" in refusal(chain(1001))


CSV_SEED = """let S = Csv.Document(File.Contents("a.csv"),[Delimiter=",", Columns=7]), P = Table.PromoteHeaders(S),
C = Table.TransformColumnTypes(P,{{"A", Int64.Type}}), F = Table.SelectRows(C, each [A] > 1 and [B] <> null) in F"""
SORT_SEED = 'let D = Sql.Databases("h"){[Name="d"]}[Data]{[Schema="dbo",Item="t"]}[Data] in Table.Sort(D, {{"A", 1}})'
SEEDS = [CSV_SEED, entered([["1", "2"], ["3", "4"]]), SORT_SEED]


@settings(deadline=None, max_examples=300)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 6), st.text(max_size=6)), max_size=6),
)
def test_damaged_text_is_a_recipe_or_a_named_error(seed: str, edits: list[tuple[int, int, str]]) -> None:
    text = seed
    for place, removed, added in edits:
        at = place % (len(text) + 1)
        text = text[:at] + added + text[at + removed :]
    try:
        found = recipe(text)
    except TabvaultError:
        return
    assert isinstance(found, r.Recipe)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_beginning_of_an_expression_is_a_named_error(seed: str) -> None:
    for length in range(len(seed)):
        with pytest.raises(ExpressionNotSupportedError):
            recipe(seed[:length])
