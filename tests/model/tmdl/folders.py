"""TMDL written by hand, and as Microsoft's client library writes it."""

from __future__ import annotations

from textwrap import dedent

from tabvault.model.tmdl.reading import read_tmdl


def table(text: str) -> dict:
    """The only table of a model, written below the margin of *text*."""
    return read_tmdl({"tables/T.tmdl": text})["model"]["tables"][0]


def tabbed(text: str) -> str:
    """A text of the source code of a test: its indentation of four blanks as tabs."""
    lines = dedent(text).lstrip("\n").splitlines(keepends=True)
    return "".join("\t" * ((len(line) - len(line.lstrip(" "))) // 4) + line.lstrip(" ") for line in lines)


SALES = {
    "database.tmdl": tabbed("""
        database Sales
            compatibilityLevel: 1605
            compatibilityMode: powerBI
            language: 1033
    """),
    "model.tmdl": tabbed("""
        model Model
            culture: en-US
            defaultPowerBIDataSourceVersion: powerBI_V3
            sourceQueryCulture: de-DE
            dataAccessOptions
                legacyRedirects
                returnErrorValuesAsNull

        annotation PBI_QueryOrder = ["Sales","Product"]

        ref table Product
        ref table Sales
        ref table Gone

        ref cultureInfo de-DE
    """),
    "relationships.tmdl": tabbed("""
        relationship cdb6e6a9-c9d1-42b9-b9e0-484a1bc7e123
            crossFilteringBehavior: bothDirections
            fromColumn: Sales.'Product Key'
            toColumn: Product.'Product Key'
    """),
    "expressions.tmdl": tabbed("""
        expression Server = "localhost" meta [IsParameterQuery=true, Type="Text", IsRequired=true]
            lineageTag: 1

        expression Database = "Contoso" meta [IsParameterQuery=true, Type="Text", IsRequired=true]
    """),
    "tables/Sales.tmdl": tabbed("""
        /// All sales,
        /// since 2020
        table Sales
            lineageTag: e9374b9a-faee-4f9e-b2e7-d9aafb9d6a91

            partition 'Sales-Partition' = m
                mode: import
                source =
                        let
                            Source = Sql.Database(Server, Database),

                            Sales = Source{[Schema="dbo"]}[Data]
                        in
                            Sales

            measure 'Sales Amount' =
                    var result = SUMX(Sales, Sales[Quantity] * Sales[Net Price])
                    return result
                formatString: $ #,##0
                displayFolder: " My ""Amazing"" Measures"

                annotation Format = {"decimals": 2}

            /// of last year
            measure 'It''s ly' = CALCULATE([Sales Amount], SAMEPERIODLASTYEAR('Date'[Date]))

            column 'Product Key'
                dataType: int64
                isHidden
                isAvailableInMdx: false
                sourceColumn: ProductKey
                summarizeBy: none

            column Quantity
                dataType: INT64
                sourceColumn: "Quantity"

            column 'Net Price'
                dataType: decimal
                sourceColumn: Net Price

            column Total = Sales[Quantity] * Sales[Net Price]
                dataType: decimal
    """),
    "tables/Product.tmdl": tabbed("""
        table Product

            column 'Product Key'
                dataType: int64
                isKey
                sourceColumn: ProductKey

            column Category
                dataType: string
                sourceColumn: Category
                sortByColumn: 'Product Key'

            hierarchy Products

                level Category
                    column: Category

                level Key
                    column: 'Product Key'

            partition p = m
                source = Product
    """),
    "roles/Stores.tmdl": tabbed("""
        role Stores
            modelPermission: read

            tablePermission Product = Product[Category] IN {"a", "b"}

            member 'alice@example.com' = user
    """),
    "cultures/de-DE.tmdl": tabbed("""
        cultureInfo de-DE
            translations
                model Model
                    table Sales
                        caption: Verkauf
                        measure 'Sales Amount'
                            caption: Umsatz
                            displayFolder: Zahlen

            linguisticMetadata =
                    {
                      "Version": "1.0.0",
                      "Language": "de-DE"
                    }
                contentType: json
    """),
}
"""A folder of what the published description of the language shows."""
