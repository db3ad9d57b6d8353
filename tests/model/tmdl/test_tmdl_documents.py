"""TMDL against TMSL written out by hand, from the published description of the language."""

from __future__ import annotations

import pytest

from model.tmdl.folders import SALES, tabbed, table
from tabvault.errors import RequestError, RequestTooLargeError
from tabvault.model.tmdl import document
from tabvault.model.tmdl.reading import read_tmdl
from tabvault.model.tmsl.parse import database_definition


def test_a_folder_is_the_database_object_of_tmsl():
    assert read_tmdl(SALES) == {
        "name": "Sales",
        "compatibilityLevel": 1605,
        "model": {
            "culture": "en-US",
            "defaultPowerBIDataSourceVersion": "powerBI_V3",
            "sourceQueryCulture": "de-DE",
            "dataAccessOptions": {"legacyRedirects": True, "returnErrorValuesAsNull": True},
            "annotations": [{"name": "PBI_QueryOrder", "value": '["Sales","Product"]'}],
            "tables": [
                {
                    "name": "Product",
                    "columns": [
                        {"name": "Product Key", "dataType": "int64", "isKey": True, "sourceColumn": "ProductKey"},
                        {
                            "name": "Category",
                            "dataType": "string",
                            "sourceColumn": "Category",
                            "sortByColumn": "Product Key",
                        },
                    ],
                    "hierarchies": [
                        {
                            "name": "Products",
                            "levels": [
                                {"name": "Category", "column": "Category", "ordinal": 0},
                                {"name": "Key", "column": "Product Key", "ordinal": 1},
                            ],
                        }
                    ],
                    "partitions": [{"name": "p", "source": {"type": "m", "expression": "Product"}}],
                },
                {
                    "name": "Sales",
                    "description": "All sales,\nsince 2020",
                    "lineageTag": "e9374b9a-faee-4f9e-b2e7-d9aafb9d6a91",
                    "partitions": [
                        {
                            "name": "Sales-Partition",
                            "mode": "import",
                            "source": {
                                "type": "m",
                                "expression": "let\n\tSource = Sql.Database(Server, Database),\n\n"
                                '\tSales = Source{[Schema="dbo"]}[Data]\nin\n\tSales',
                            },
                        }
                    ],
                    "measures": [
                        {
                            "name": "Sales Amount",
                            "expression": "var result = SUMX(Sales, Sales[Quantity] * Sales[Net Price])\nreturn result",
                            "formatString": "$ #,##0",
                            "displayFolder": ' My "Amazing" Measures',
                            "annotations": [{"name": "Format", "value": '{"decimals": 2}'}],
                        },
                        {
                            "name": "It's ly",
                            "description": "of last year",
                            "expression": "CALCULATE([Sales Amount], SAMEPERIODLASTYEAR('Date'[Date]))",
                        },
                    ],
                    "columns": [
                        {
                            "name": "Product Key",
                            "dataType": "int64",
                            "isHidden": True,
                            "isAvailableInMdx": False,
                            "sourceColumn": "ProductKey",
                            "summarizeBy": "none",
                        },
                        {"name": "Quantity", "dataType": "int64", "sourceColumn": "Quantity"},
                        {"name": "Net Price", "dataType": "decimal", "sourceColumn": "Net Price"},
                        {
                            "type": "calculated",
                            "name": "Total",
                            "expression": "Sales[Quantity] * Sales[Net Price]",
                            "dataType": "decimal",
                        },
                    ],
                },
            ],
            "relationships": [
                {
                    "name": "cdb6e6a9-c9d1-42b9-b9e0-484a1bc7e123",
                    "crossFilteringBehavior": "bothDirections",
                    "fromTable": "Sales",
                    "fromColumn": "Product Key",
                    "toTable": "Product",
                    "toColumn": "Product Key",
                }
            ],
            "expressions": [
                {
                    "name": "Server",
                    "kind": "m",
                    "expression": '"localhost" meta [IsParameterQuery=true, Type="Text", IsRequired=true]',
                    "lineageTag": "1",
                },
                {
                    "name": "Database",
                    "kind": "m",
                    "expression": '"Contoso" meta [IsParameterQuery=true, Type="Text", IsRequired=true]',
                },
            ],
            "roles": [
                {
                    "name": "Stores",
                    "modelPermission": "read",
                    "tablePermissions": [
                        {"name": "Product", "filterExpression": 'Product[Category] IN {"a", "b"}'},
                    ],
                    "members": [
                        {"memberName": "alice@example.com", "memberType": "user", "identityProvider": "AzureAD"}
                    ],
                }
            ],
            "cultures": [
                {
                    "name": "de-DE",
                    "translations": {
                        "model": {
                            "name": "Model",
                            "tables": [
                                {
                                    "name": "Sales",
                                    "translatedCaption": "Verkauf",
                                    "measures": [
                                        {
                                            "name": "Sales Amount",
                                            "translatedCaption": "Umsatz",
                                            "translatedDisplayFolder": "Zahlen",
                                        }
                                    ],
                                }
                            ],
                        }
                    },
                    "linguisticMetadata": {
                        "content": {"Version": "1.0.0", "Language": "de-DE"},
                        "contentType": "json",
                    },
                }
            ],
        },
    }


def test_a_folder_is_what_the_reader_of_tmsl_takes():
    definition = database_definition(read_tmdl(SALES))
    assert (definition.name, definition.compatibility_level) == ("Sales", 1605)
    assert sum(part.type.name == "Measure" for part in definition.model.walk()) == 2


def test_blanks_and_tabs_indent_alike():
    blanks = {file: text.replace("\t", "  ") for file, text in SALES.items()}
    expected = read_tmdl(SALES)
    source = expected["model"]["tables"][1]["partitions"][0]["source"]
    source["expression"] = source["expression"].replace("\t", "  ")
    assert read_tmdl(blanks) == expected


def test_line_ends_and_a_byte_order_mark_do_not_matter():
    assert read_tmdl({file: "\ufeff" + text.replace("\n", "\r\n") for file, text in SALES.items()}) == read_tmdl(SALES)


def test_a_table_in_pieces_is_one_table():
    pieces = dict(SALES)
    head, measures = pieces["tables/Sales.tmdl"].split("\tmeasure 'Sales Amount'")
    measures, columns = measures.split("\tcolumn 'Product Key'")
    pieces["tables/Sales.tmdl"] = f"{head}\tcolumn 'Product Key'{columns}"
    pieces["measures.tmdl"] = f"table Sales\n\tmeasure 'Sales Amount'{measures}"
    assert read_tmdl(pieces) == read_tmdl(SALES)
    pieces["measures.tmdl"] = f"ref table Sales\n\tmeasure 'Sales Amount'{measures}"
    assert read_tmdl(pieces) == read_tmdl(SALES)


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("= 1", "1"),
        ("=1", "1"),
        ("=  1  ", "1"),
        ("=\n\t\t\ta\n\t\t\t\tb  \n\n\t\t\tc\n\n", "a\n\tb\n\nc"),
        ("=\n\n\t\t\ta", "\na"),
        ("=\n\t\ta\n\t\tformatString: x", "a\nformatString: x"),
        ("=\n\t\t\t\n\t\t\t a\n\t\t\t\tb", "\n a\n\tb"),
        ("= ```\n\t\t\t  a\n\t\t\tb  \n\n\t\t\t```", "  a\nb  \n"),
        ("= ```\n\t\t  a\n\t\t\t```", "  a"),
        ("= ```\n\t\t\ta\n\t\t\t```x\n\t\t\t```", "a\n```x"),
        ("= ```a```", "```a```"),
    ],
)
def test_an_expression_loses_its_margin_and_nothing_else(written, expression):
    assert table(f"table T\n\tmeasure m {written}\n")["measures"] == [{"name": "m", "expression": expression}]


def test_an_expression_ends_where_the_indentation_does():
    text = "table T\n\tmeasure m =\n\t\t\ta\n\n\t\tisHidden\n\tmeasure n = ```\n\t\t\tb\n\t\t\t```\n\t\tisHidden\n"
    assert table(text)["measures"] == [
        {"name": "m", "expression": "a", "isHidden": True},
        {"name": "n", "expression": "b", "isHidden": True},
    ]


def test_json_objects_are_read_from_properties_and_from_json():
    text = tabbed("""
        dataSource d
            connectionDetails =
                    {"query": "select"}
                protocol: tds
                address
                    server: s
                    database: "d "
            options =
                    {"commandTimeout": 5}
        dataSource 'Old one' = provider
            connectionString: Provider=x;Password=y
            timeout: 5
    """)
    assert read_tmdl({"dataSources.tmdl": text})["model"]["dataSources"] == [
        {
            "name": "d",
            "type": "structured",
            "connectionDetails": {
                "query": "select",
                "protocol": "tds",
                "address": {"server": "s", "database": "d "},
            },
            "options": {"commandTimeout": 5},
        },
        {
            "name": "Old one",
            "type": "provider",
            "connectionString": "Provider=x;Password=y",
            "timeout": 5,
        },
    ]


def test_columns_of_a_calculated_table_are_of_its_type():
    text = "table T\n\tpartition p = Calculated\n\t\tsource = {1}\n\tcolumn a\n\t\tisNameInferred\n\tcolumn b = 1\n"
    assert [column["type"] for column in table(text)["columns"]] == ["calculatedTableColumn", "calculated"]


REFUSED = {
    "table T\n\tbogus: x": "a Table has no 'bogus'",
    "table T\n\tbogus x": "a Table has no 'bogus'",
    "bogus x": "'bogus' is no object of a model",
    "createOrReplace": "'createOrReplace' is no object of a model",
    "\ttable T": "the line is indented, and nothing above it is indented less",
    "table T\n\tcolumn c\n\t  isHidden\n\t\tdataType: string": "the indentation is not that of its sibling in line 3",
    "table T\n    column c\n\tcolumn d": "the indentation is not that of its sibling in line 2",
    "table T\n\tisHidden\n\t\tfoo: 1": "isHidden is a property, nothing belongs to it",
    "table T\n\tisHidden: maybe": "isHidden is 'maybe', not true or false",
    "table T\n\tisHidden\n\tishidden": "ishidden is there twice",
    "table T\n\tlineageTag:": "property lineageTag has no value",
    "table T\n\tlineageTag": "lineageTag has no value",
    "table T\n\tdescription: x": "a Table has no 'description'",
    "table T\n\t// comment": "the line is none of TMDL: '// comment'",
    "table T\n\talternateSourcePrecedence: 3.0": "alternateSourcePrecedence is '3.0', not a whole number",
    "table T\n\tmeasure m s = 1": "the line is none of TMDL: 'measure m s '",
    "table a'b": 'the line is none of TMDL: "table a\'b"',
    "table a.b": "the line is none of TMDL: 'table a.b'",
    "table 'a": 'the line is none of TMDL: "table \'a"',
    "table": "table is an object with a name",
    "table: T": "table is an object with a name",
    "table T = 1": "nothing can follow = behind table",
    "table T\n\tmeasure m = ```\n\t\t\ta": "no ``` ends the expression that begins with ```",
    "table T\n\tmeasure m = 1\n\tmeasure m = 2": "measure 'm' is declared already in x.tmdl, line 2",
    "table T\n\tmeasure m = 1\n\tmeasure M = 2": "measure 'M' is 'm' in x.tmdl, line 2",
    "table T\n\tmeasure m = 1\n\t\tkpi\n\t\tkpi": "kpi is there twice",
    "table T\n\t/// a\n\n\tmeasure m = 1": "no object follows the description",
    "table T\n\t/// a": "no object follows the description",
    "table T\n\t/// a\n\tisHidden": "isHidden is a property and has no description",
    "table T\n\tcolumn c\n\t\tdataType: text": "dataType is 'text', not one of automatic, string, ",
    "table T\n\tcolumn c\n\t\tsortByColumn: b c": "sortByColumn is 'b c', no reference of the form Table.Name",
    "table T\n\tcolumn c\n\t\tsortByColumn: U.b": "sortByColumn refers to 'U', which is not the table it stands in",
    "table T\n\tcolumn c = 1\n\t\tsourceColumn: d": "a Column of type calculated has no sourceColumn",
    "table T\n\tpartition p = m\n\t\tsource: 1": "source is an object without a name",
    "table T\n\tpartition p = query\n\t\tsource = 1": "nothing can follow = behind the source of a query partition",
    "table T\n\tpartition p = m\n\t\tsource\n\t\t\tquery = 1": "the source of a m partition has no 'query'",
    "relationship r\n\tfromColumn: c": "fromColumn names no table",
    "dataSource d\n\tconnectionString: x": "a DataSource of type structured has no connectionString",
    "dataSource d\n\tconnectionDetails = {": "connectionDetails is not JSON",
    "dataSource d\n\tconnectionDetails\n\t\tbogus: 1": "connectionDetails has no property 'bogus'",
    "role r\n\tmember m = activeDirectory\n\t\tidentityProvider: x": "a member of type activeDirectory has no ident",
    "cultureInfo c\n\ttranslations\n\t\tmodel M\n\t\t\tbogus: x": "the translation of a Model has no 'bogus'",
    "cultureInfo c\n\tlinguisticMetadata = {\n\t\tcontentType: json": "the content is not JSON",
    "database d\n\tbogus: x": "a database has no property 'bogus'",
    "database d\n\tid: x\n\tid: y": "a database has id twice",
    "database d\ndatabase e": "a second database is declared",
    "model M\nmodel N": "a second model is declared",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_none_of_tmdl_is_refused_with_its_file_and_line(text):
    with pytest.raises(RequestError) as raised:
        read_tmdl({"x.tmdl": f"{text}\n"})
    error = raised.value
    assert error.path == "x.tmdl"
    assert 1 <= error.line <= text.count("\n") + 1
    assert error.message.startswith(f"x.tmdl, line {error.line}: {REFUSED[text]}"), error.message


def test_what_follows_a_delimiter_is_not_shown_where_the_line_cannot_be_read():
    with pytest.raises(RequestError) as raised:
        read_tmdl({"x.tmdl": "dataSource d x = secret"})
    assert "secret" not in str(raised.value)


def test_more_than_any_model_has_is_refused(monkeypatch):
    deep = "".join("\t" * depth + "kpi\n" for depth in range(200))
    with pytest.raises(RequestTooLargeError, match="levels"):
        read_tmdl({"x.tmdl": deep})
    monkeypatch.setattr(document, "LINE_COUNT_MAX", 10)
    with pytest.raises(RequestTooLargeError, match="12 lines"):
        read_tmdl({"x.tmdl": "\n" * 11})


def test_no_model_is_refused():
    with pytest.raises(RequestError, match="no file declares a model"):
        read_tmdl({"database.tmdl": "database d\n"})
