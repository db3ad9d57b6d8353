"""
TMDL as Microsoft's client library writes and reads it, where it is installed.

Each genuine sample, and a model with every type of object: the library writes the folder, and our reading of it is
TMSL that the library says the same of as of its own reading. Against the TMSL that was written, TMDL itself loses:

* ``dataType`` of calculated columns, where the engine inferred it;
* the order of levels in the array where it is not that of their ordinals;
* named sets, and the ids of members (security identifiers): the language has no place for them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from conftest import CONTAINER_SAMPLES, REPOSITORY, missing
from model.genuine import genuine_metadata
from model.tmdl.folders import SALES
from tabvault.errors import RequestError
from tabvault.model.metadata import Metadata
from tabvault.model.object_types import OBJECT_TYPES
from tabvault.model.tmdl.json_objects import MEMBERS
from tabvault.model.tmdl.reading import read_tmdl
from tabvault.model.tmdl.vocabulary import default_property, name_member, words_of
from tabvault.model.tmsl.export import tmsl_of
from tabvault.model.tmsl.parse import database_definition

HERE = Path(__file__).parent
TMSL = HERE.parent / "tmsl"
LEVELS = {
    name: made["compatibilityLevel"] for name, made in json.loads((TMSL / "client_models.json").read_text()).items()
}
EVERY_OBJECT = json.loads((TMSL / "every_object.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def ask():
    python = Path(os.environ.get("TABVAULT_MS_CLIENTS", REPOSITORY / ".venv-clients" / "bin" / "python"))
    if not python.exists():
        missing(f"Microsoft's clients are not at {python} (set TABVAULT_MS_CLIENTS)")
    command = [python, HERE / "client_tmdl.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:

        def answer(**request: object) -> dict:
            client.stdin.write(f"{json.dumps(request)}\n")
            client.stdin.flush()
            return json.loads(client.stdout.readline())

        yield answer
        client.stdin.close()


def exported(name: str) -> dict:
    with Metadata.from_bytes(genuine_metadata(name)) as metadata:
        return tmsl_of(metadata, name="d", id="d", compatibility_level=LEVELS[name])


def without_what_tmdl_loses(database: dict) -> dict:
    for table in database["model"].get("tables", []):
        table.pop("sets", None)
        is_calculated = any(part["source"]["type"] == "calculated" for part in table.get("partitions", []))
        for column in table.get("columns", []):
            if column.pop("isDataTypeInferred", False):
                del column["dataType"]
            if is_calculated and column.get("type") is None:
                column |= {"type": "calculatedTableColumn", "isNameInferred": False}
        for hierarchy in table.get("hierarchies", []):
            hierarchy["levels"].sort(key=lambda level: level["ordinal"])
    for perspective in database["model"].get("perspectives", []):
        for table in perspective["tables"]:
            table.pop("sets", None)
    for role in database["model"].get("roles", []):
        for member in role.get("members", []):
            member.pop("memberId", None)
    return database


def sizes(database: dict) -> tuple[int, int]:
    tables = database["model"].get("tables", [])
    return len(tables), sum(len(table.get("measures", [])) + len(table.get("columns", [])) for table in tables)


@pytest.mark.parametrize("name", [*CONTAINER_SAMPLES, "every object"])
def test_a_folder_of_the_client_library_is_read_as_the_library_reads_it(ask, name):
    database = EVERY_OBJECT if name == "every object" else exported(name)
    files = ask(write=database)["files"]
    ours = read_tmdl(files)
    database_definition(ours)
    as_rewritten = ask(rewrite=ours)["database"]
    assert as_rewritten == ask(read=files)["database"]
    lossless = without_what_tmdl_loses(json.loads(json.dumps(database)))
    assert without_what_tmdl_loses(as_rewritten) == lossless
    tables, parts = sizes(lossless)
    assert sizes(ours) == (tables, parts)
    print(f"{name}: {len(files)} files, {tables} tables, {parts} columns and measures")  # noqa: T201 - the counts


def test_the_folder_written_by_hand_is_read_as_the_library_reads_it(ask):
    # The library finds no table of a member of a translation, or of a permission, that is in no file.
    theirs = ask(read=SALES)
    assert theirs["database"] == ask(rewrite=read_tmdl(SALES))["database"]


SCHEMA_NAMES = {"Culture": "cultureInfo", "RoleMembership": "member", "KPI": "kpi"}
IN_NO_DOCUMENT = {"AttributeHierarchy", "Set", "PerspectiveSet"}
SHAPED_OTHERWISE = {"ObjectTranslation", "GroupByColumn", "CalendarColumnReference"}


def test_the_words_are_those_of_the_published_schema(ask):
    schema = ask(schema=True)["$defs"]
    left = {name for name, defined in schema.items() if "properties" in defined or "anyOf" in defined}
    word_count = 0
    for type_ in OBJECT_TYPES.values():
        name = SCHEMA_NAMES.get(type_.name, type_.name[0].lower() + type_.name[1:])
        if name not in schema:
            assert type_.name in IN_NO_DOCUMENT | SHAPED_OTHERWISE
            continue
        left.remove(name)
        defined = schema[name]
        theirs = {name: said for one in defined.get("anyOf", [defined]) for name, said in one["properties"].items()}
        ours = {word.text for word in words_of(type_.name).values()}
        named = {name for name, said in theirs.items() if said.get("$ref") == "#/$defs/objectName"}
        described = {name for name, said in theirs.items() if said.get("$ref") == "#/$defs/description"}
        default = {
            name
            for name, said in theirs.items()
            if said.get("tmdl", {}).get("defaultProperty") or said.get("$ref", "").startswith("#/$defs/default")
        }
        assert ours == theirs.keys() - named - described - {"package"}
        assert named == {name_member(type_)} - {None}
        assert default == {default_property(type_)} - {None}
        word_count += len(ours)
    print(f"{word_count} words")  # noqa: T201 - the count
    assert left == {"database", "package"}, "the database has no table of its own, and no metadata known have packages"


def test_the_members_of_json_objects_are_those_of_the_published_schema(ask):
    schema = ask(schema=True)["$defs"]
    structured = schema["dataSource"]["anyOf"][1]["properties"]
    theirs = {**schema["model"]["properties"], **structured}
    kinds = {"string": "text", "boolean": "boolean", "number": "number", "integer": "number"}

    def members(defined: dict) -> dict:
        properties = {name: said for name, said in defined["properties"].items() if name != "additionalProperties"}
        return {
            name: members(said) if said["type"] == "object" else kinds[said["type"]]
            for name, said in properties.items()
        }

    assert {word: members(theirs[word]) for word in MEMBERS} == {**MEMBERS}


SAME = [
    "measure m =\n\t\t\ta\n\t\t\tb\n\t\tformatString: x",
    "measure m =\n\t\ta\n\t\tformatString: x",
    "measure m =\n\n\t\t\ta\n\n\n\t\t\tb\n\n\n\t\tformatString: x",
    "measure m =\n\t\t\t\n\t\t\t a\n\t\t\t\tb",
    "measure m =\n\t\t\t\ta\n\t\t\t\t\tb\n\t\tformatString: x",
    "measure m =\n\t\t\ta  \n\t\t\t\t\t\n\t\t\tb  \n\t\t\t",
    "measure m = ```\n\t\t\t  a\n\t\t\tb  \n\n\t\t\t```\n\t\tformatString: x",
    "measure m = ```\n\t\t\t  a\n\t\t\t\tb  \n\n\t\t```\n\t\tformatString: x",
    "measure m = ```  \n\t\t  a\n\t\t\t```  \n\t\tformatString: x",
    "measure m = ```\n\t\t\ta ```\n\t\t\t```x\n\t\t\t```",
    "measure m =\n\t\t\t```\n\t\t\ta\n\t\t\t```",
    "measure m = ```a```",
    "measure m",
    "measure m =",
    "measure m=1",
    "measure 'm''s' = 1",
    "measure a:b = 1",
    "MEASURE m = 1\n\t\tFormatString: x\n\t\tISHIDDEN",
    "column c\n\t\tdatatype: INT64\n\t\tsummarizeBy: None\n\t\tsourceColumn:c\n\t\tisHidden: TRUE",
    'column c\n\t\tdataType:   int64   \n\t\tsourceColumn: "a ""b"" "\n\t\tdisplayFolder: "x" y',
    'column c\n\t\tdataType: int64\n\t\tsourceColumn: "abc',
    "column c\n\t\tdataType: int64\n\t\tsortByColumn: T.c",
    "column c\n\t\ttype: calculated\n\t\tdataType: string",
    "column c\n\t\ttype: calculatedTableColumn\n\t\tsourceColumn: [c]\n\t\tcolumnOrigin: T.c",
    "measure m\n\t\texpression: 1",
    "isHidden = true\n\tlineageTag = abc",
    "partition p\n\t\tsourceType: m\n\t\tsource = 1",
    "partition p = m\n\t\tsource\n\t\t\texpression = 1",
    "partition p = m\n\t\tsource =\n\t\t\tlet a = 1\n\t\t\tin a",
    'extendedProperty x = {"a": 1}',
    'extendedProperty x = {"a": 1}\n\t\ttype: string',
    "extendedProperty x = [1]",
    'extendedProperty x = {"a": 1',
    "annotation a",
    'annotation a = "x"',
    "annotation a = ```\n\t\t\t\tx\n\n\t\t\t\t```",
    "changedProperty = IsHidden\n\tchangedProperty = Name",
    'lineageTag: ""',
    "///one\n\t///  two  \n\t///\n\tmeasure m = 1",
    "refreshPolicy\n\t\tsourceExpression =\n\t\t\t\ta\n\t\trollingWindowPeriods: 2",
    (
        "calculationGroup\n\t\tcalculationItem b = 1\n\t\t\tordinal: 1\n\t\tcalculationItem a = 2\n\t\t\tordinal: 0"
        "\n\tcolumn n\n\t\tdataType: string\n\tpartition p = calculationGroup"
    ),
    "\n\nrole r\n\tmember m",
    "\n\nrole r\n\tmember m = group\n\t\tidentityProvider: X",
    "\n\nrole r\n\tmodelPermission: Read\n\ttablePermission T",
    "\n\nculture de-DE",
    "\n\nref table U",
    "\n\ntable U\n\tisHidden\nref table U\n\tmeasure m = 1\ntable U\n\tlineageTag: x",
    "\n\ncultureInfo de-DE\n\tlinguisticMetadata =\n\t\t\t<x/>",
    "\n\ncultureInfo de\n\ttranslations\n\t\tmodel Model\n\t\t\ttable T\n\t\t\t\tcaption = x",
    '\n\ndataSource x\n\tconnectionDetails = {"protocol": "tds"}\n\t\taddress\n\t\t\tserver: s',
]
"""What stands below ``table T`` in a document."""

REFUSED = [
    "measure m =\n\t\t\t\ta\n\t\t\tb\n\t\tformatString: x",
    "measure m = a\n\t\t\tb",
    "measure m = ``` a\n\t\t\t```",
    "measure m s = 1",
    'measure "m s" = 1',
    "column c\n\t\tdataType: int64\n\t\tdataType: string",
    "/// one\n\n\tcolumn c",
    "/// one\n\tlineageTag: x",
    "description: x",
    "// comment",
    "annotation a = x\n\tannotation a = y",
    "bogus: x",
    "bogus x",
    "isHidden\n\t\tfoo: 1",
    "isHidden: maybe",
    "partition p = m\n\t\tsource: 1",
    "lineageTag:",
    "alternateSourcePrecedence: 3.0",
    "column c = 1\n\t\ttype: data\n\t\tsourceColumn: d",
    "column c = 1\n\t\tisNameInferred",
    "column c\n\t\tsortByColumn: b c",
    "set s = 1",
    "\n\ncreateOrReplace",
    "\n\ntable 'a'b",
    "\n\ntable U\n\ntable u",
    "\n\ntable",
    "\n\nmodel Other",
    "\n\ndatabase other",
    "\n\nrelationship r\n\tfromColumn: c\n\ttoColumn: T.c",
    "\n\ndataSource x\n\tconnectionString: y",
    "\n\nrole r\n\tmember m = activeDirectory\n\t\tidentityProvider: X",
    "\n\ncultureInfo de\n\ttranslations\n\t\tmodel Model\n\t\t\ttable T\n\t\t\t\tbogus: y",
]


def folder(text: str) -> dict[str, str]:
    return {
        "database.tmdl": "database d\n\tcompatibilityLevel: 1605\n\tcompatibilityMode: powerBI\n",
        "model.tmdl": "model Model\n",
        "tables/T.tmdl": f"table T\n\t{text}\n",
    }


@pytest.mark.parametrize("text", SAME)
def test_a_turn_of_the_language_means_what_it_means_to_the_library(ask, text):
    theirs = ask(read=folder(text))
    assert ask(rewrite=read_tmdl(folder(text))) == theirs
    assert "database" in theirs


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_library_refuses_is_refused(ask, text):
    assert "error" in ask(read=folder(text))
    with pytest.raises(RequestError):
        read_tmdl(folder(text))
