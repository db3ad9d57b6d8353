"""Statements of MDX scripts, written by hand after the specification's grammar."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvault.errors import FormatError, TabvaultError
from tabvault.model.xml_models import script

SCRIPT = """
CALCULATE;
CREATE MEMBER CURRENTCUBE.Measures.[__No measures defined] AS 1, VISIBLE = 0;
-- not a measure; CREATE MEASURE 'No'[No]=1;
// nor this; /* nor [
/* nor this; */
CREATE MEASURE 'It''s sales'[Amount]]s; net] = SUMX('It''s sales', [Price;] * "a;""b;") -- about [it
;
create measure Plain [Count]=1 + /* ; */ 2;
CREATE KPI CURRENTCUBE.[Count] AS Measures.[Count], ASSOCIATED_MEASURE_GROUP = 'Plain', GOAL = Measures.[_Count Goal],
    STATUS = Measures.[_Count Status], STATUS_GRAPHIC = 'Traffic, Light', TREND = 1.5;
ALTER CUBE CURRENTCUBE UPDATE DIMENSION Measures, Default_Member = [Count];
SCOPE (Measures.[Count]); END SCOPE
"""


def test_statements_end_with_semicolons_outside_texts_names_and_comments() -> None:
    found = script.parse([SCRIPT], file="f")
    assert found.measures == (
        script.ScriptMeasure(
            "It's sales", "Amount]s; net", "SUMX('It''s sales', [Price;] * \"a;\"\"b;\") -- about [it"
        ),
        script.ScriptMeasure("Plain", "Count", "1 + /* ; */ 2"),
    )
    assert found.others == ("SCOPE (Measures.[Count])", "END SCOPE")


def test_an_indicator_says_its_goal_status_and_trend() -> None:
    (kpi,) = script.parse([SCRIPT], file="f").kpis
    assert kpi.name == "Count"
    assert kpi.properties == {
        "ASSOCIATED_MEASURE_GROUP": "Plain",
        "GOAL": "_Count Goal",
        "STATUS": "_Count Status",
        "STATUS_GRAPHIC": "Traffic, Light",
        "TREND": "1.5",
    }


def test_commands_do_not_flow_into_each_other() -> None:
    found = script.parse(["CREATE MEASURE T[A]=1", "CREATE MEASURE T[B]=2"], file="f")
    assert [(one.name, one.expression) for one in found.measures] == [("A", "1"), ("B", "2")]


@pytest.mark.parametrize("text", ['"open', "'open", "[open", "/* open", "CREATE MEASURE T[A]=[b"])
def test_what_does_not_end_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="does not end"):
        script.parse([text], file="f")


@pytest.mark.parametrize("text", ["CREATE MEASURE", "CREATE MEASURE T=1", "CREATE MEASURE T[A]"])
def test_a_measure_that_is_not_written_as_one_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="not written as one"):
        script.parse([text], file="f")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("[a]]b]", "a]b"),
        ("Measures.[a.[b]", "a.[b"),
        ("'it''s'", "it's"),
        ("plain", "plain"),
        ("'#,0'", "#,0"),
        ("''", ""),
        ("", ""),
        ("-12.5", "-12.5"),
        ("no path!", "no path!"),
    ],
)
def test_a_name_is_the_last_of_its_path_without_quotes(path: str, name: str) -> None:
    assert script.name_of(path) == name


HOSTILE = (
    "CREATE MEASURE T" + " " * 1_000_000 + "X=1",
    "CREATE KPI a AS b," + " " * 1_000_000 + "x",
    "CREATE KPI a AS b,x=" + "a." * 500_000 + "!",
    "CREATE KPI " + "a " * 500_000 + "AS",
    "/*" * 1_000_000,
    "'a" * 500_000 + "'",
    "CREATE KPI k AS b, x=" + "[[x=[[x=[" * 100_000 + "]",
)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_scripts_take_no_longer_than_they_are_long(number: int) -> None:
    begun = time.process_time()
    with contextlib.suppress(FormatError):
        script.parse([HOSTILE[number]], file="f")
    assert time.process_time() - begun < 10  # squared they would take hours


@given(st.lists(st.text(alphabet="CREATE MSUKPI;'\"[]/*-=.a\n", max_size=60), max_size=3))
def test_any_text_is_a_script_or_refused(texts: list[str]) -> None:
    try:
        found = script.parse(texts, file="f")
    except TabvaultError:
        return
    assert all(measure.name in "".join(texts).replace("]]", "]") for measure in found.measures)
