"""What a refresh does to which partition, and which DAX it would have to compute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from refresh_models import (
    calculated_column,
    calculated_table,
    column,
    m_partition,
    model_of,
    query_partition,
    table,
)

from tabvault.errors import CalculationNotSupportedError, CommandNotSupportedError, RequestError
from tabvault.jobs.processing.dependencies import calculations, dependent_calculations
from tabvault.jobs.processing.plan import Plan, plan_refresh
from tabvault.jobs.processing.request import RefreshKind, RefreshRequest, RefreshTarget

if TYPE_CHECKING:
    from tabvault.model.objects import Model

SALES = table(
    "Sales",
    column("Key", "int64"),
    column("Amount", "double"),
    partitions=[query_partition("2025"), m_partition("2026")],
)
PRODUCT = table("Product", column("Key", "int64"), column("Name"))


def loads_of(plan: Plan) -> dict[str, list[str]]:
    return {load.table.name: [partition.name for partition in load.partitions] for load in plan.loads}


def ready(model: Model, *names: str) -> Model:
    """The model with these partitions up to date."""
    tables = tuple(
        replace(
            one,
            partitions=tuple(replace(p, state=1) if p.name in names else p for p in one.partitions),
            columns=tuple(replace(c, state=1) for c in one.columns),
        )
        for one in model.tables
    )
    return replace(model, tables=tables)


def request(kind: str, *targets: tuple[str, str | None], keep_calculated: bool = False) -> RefreshRequest:
    return RefreshRequest(
        RefreshKind(kind), tuple(RefreshTarget(*target) for target in targets), keep_calculated=keep_calculated
    )


@pytest.mark.parametrize("kind", ["full", "dataOnly"])
def test_everything_is_read_when_nothing_is_named(kind: str) -> None:
    plan = plan_refresh(model_of(SALES, PRODUCT), request(kind))
    assert loads_of(plan) == {"Sales": ["2025", "2026"], "Product": ["Product"]}
    assert not any(load.appends for load in plan.loads)


def test_a_table_and_a_partition_are_found_whatever_their_case_and_read_once() -> None:
    plan = plan_refresh(model_of(SALES, PRODUCT), request("full", ("SALES", "2026"), ("sales", "2026")))
    assert loads_of(plan) == {"Sales": ["2026"]}


def test_what_is_not_there_is_named_with_what_is_close() -> None:
    model = model_of(SALES, PRODUCT)
    with pytest.raises(RequestError, match="there is no table 'Sale'") as caught:
        plan_refresh(model, request("full", ("Sale", None)))
    assert caught.value.hint is not None
    assert "Sales" in caught.value.hint
    with pytest.raises(RequestError, match="table 'Sales' has no partition '2027'"):
        plan_refresh(model, request("full", ("Sales", "2027")))


def test_automatic_reads_what_is_not_up_to_date() -> None:
    model = ready(model_of(SALES, PRODUCT), "2025", "Product")
    plan = plan_refresh(model, request("automatic"))
    assert loads_of(plan) == {"Sales": ["2026"]}
    assert [table.name for table in plan.completed] == ["Product"]


def test_rows_are_added_to_one_partition() -> None:
    model = model_of(SALES, PRODUCT)
    plan = plan_refresh(model, request("add", ("Sales", "2026")))
    assert loads_of(plan) == {"Sales": ["2026"]}
    assert plan.loads[0].appends
    with pytest.raises(RequestError, match="has 2 partitions, and rows are added to one"):
        plan_refresh(model, request("add", ("Sales", None)))


def test_a_partition_in_direct_query_mode_is_passed_over() -> None:
    live = table("Live", column("Key", "int64"), partitions=[{**query_partition("p"), "mode": "directQuery"}])
    plan = plan_refresh(model_of(live), request("full"))
    assert plan.loads == ()


def test_a_partition_of_an_entity_is_refused_by_name() -> None:
    lake = table("Lake", column("Key", "int64"), partitions=[
        {"name": "p", "mode": "import", "source": {"type": "entity", "entityName": "lake", "dataSource": "Warehouse"}}
    ])  # fmt: skip
    with pytest.raises(CommandNotSupportedError, match="partition 'p' of table 'Lake'"):
        plan_refresh(model_of(lake), request("full"))


CALCULATING = (
    table("Sales", column("Key", "int64"), column("Amount", "double"), calculated_column("Double", "2 * [Amount]"),
          measures=[{"name": "Total", "expression": "SUM ( Sales[Amount] )"}]),
    table("Product", column("Key", "int64"), calculated_column("Sold", "[Total] + 1"),
          calculated_column("Upper", "UPPER ( [Key] )")),
    calculated_table("Best", "TOPN ( 3, 'Product', [Sold] )", column("Key", "int64")),
    calculated_table("Days", "CALENDAR ( DATE ( 2025, 1, 1 ), DATE ( 2025, 12, 31 ) )", column("Date", "dateTime")),
    calculated_table("Broken", '{ "no end', column("Value")),
)  # fmt: skip


def test_what_depends_on_a_table_is_found_through_measures_columns_and_tables() -> None:
    model = model_of(*CALCULATING)
    ids = {one.name: one.id for one in model.tables}
    assert [one.name for one in calculations(model)] == [
        "'Sales'[Double]",
        "'Product'[Sold]",
        "'Product'[Upper]",
        "'Best'",
        "'Days'",
        "'Broken'",
    ]
    assert [one.name for one in dependent_calculations(model, {ids["Sales"]})] == [
        "'Sales'[Double]",
        "'Product'[Sold]",
        "'Best'",
        "'Broken'",  # what cannot be read may depend on anything
    ]
    assert "'Product'[Upper]" in [one.name for one in dependent_calculations(model, {ids["Product"]})]


def test_a_refresh_that_would_compute_dax_is_refused_with_every_expression() -> None:
    model = model_of(*CALCULATING)
    with pytest.raises(CalculationNotSupportedError) as caught:
        plan_refresh(model, request("full", ("Sales", None)))
    for name in ("'Sales'[Double]", "'Product'[Sold]", "'Best'"):
        assert name in str(caught.value)
    assert "'Days'" not in str(caught.value)
    assert "--keep-calculated" in str(caught.value.hint)


def test_calculations_are_kept_when_that_is_asked_for_and_told() -> None:
    model = ready(model_of(*CALCULATING), "Best", "Days", "Broken")
    plan = plan_refresh(model, request("full", ("Sales", None), keep_calculated=True))
    assert loads_of(plan) == {"Sales": ["Sales"]}
    assert [one.name for one in plan.kept] == ["'Sales'[Double]", "'Product'[Sold]", "'Best'", "'Broken'"]


def test_a_full_refresh_of_the_database_would_compute_every_calculated_table() -> None:
    model = ready(model_of(PRODUCT, CALCULATING[3]), "Days", "Product")
    with pytest.raises(CalculationNotSupportedError, match="'Days'"):
        plan_refresh(model, request("full"))
    assert loads_of(plan_refresh(model, request("dataOnly"))) == {"Product": ["Product"]}
    assert plan_refresh(model, request("automatic")).kept == ()


def test_calculate_refuses_what_is_stale_and_passes_what_is_not() -> None:
    model = model_of(PRODUCT, CALCULATING[3])
    with pytest.raises(CalculationNotSupportedError, match="'Days'"):
        plan_refresh(model, request("calculate"))
    plan = plan_refresh(ready(model, "Days"), request("calculate"))
    assert plan.loads == ()
    assert {table.name for table in plan.completed} == {"Product", "Days"}


def test_values_are_cleared_and_defragmented_where_it_is_said() -> None:
    model = model_of(SALES, PRODUCT)
    cleared = plan_refresh(model, request("clearValues", ("Sales", "2025"))).cleared
    assert [(one.name, [p.name for p in partitions]) for one, partitions in cleared] == [("Sales", ["2025"])]
    assert [one.name for one in plan_refresh(model, request("defragment", ("Product", None))).defragmented] == [
        "Product"
    ]
