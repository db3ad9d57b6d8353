r"""
An XML model as it lies in a container: which file is what.

::

    <database>.<version>.db.xml
    <source>.<version>.ds.xml   Sandbox.<version>.dsv.xml
    Model.<version>.cub.xml     Model.0.cub\<table>.<version>.det.xml    Model.0.cub\MdxScript.<version>.scr.xml
                                Model.0.cub\<table>.0.det\<table>.<version>.prt.xml
    <table>.<version>.dim.xml   <table>.0.dim\<table>.<version>.tbl.xml, and every file that it names

The element in a ``Load`` document says what it defines; names of files count only for ``.tbl.xml``. Other documents
(``info.<version>.xml``) say nothing that a model needs.

Source: [MS-XLDM] 2.1.2; the genuine workbooks. Backups of Analysis Services 2012 and 2014 have the same tree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tabvault.errors import FormatError, LimitError, UnsupportedFeatureError, XmlMetadataError
from tabvault.formats.safe_xml import XML_BYTE_COUNT_MAX
from tabvault.model.xml_models import cube, ddl, script, storage, tables

if TYPE_CHECKING:
    from tabvault.model.file_set import FileSet
    from tabvault.model.xml_models.cube import (
        CalculationProperty,
        Cube,
        DataSource,
        MeasureGroup,
        Partition,
        Perspective,
    )
    from tabvault.model.xml_models.ddl import Loaded
    from tabvault.model.xml_models.storage import StoredTable
    from tabvault.model.xml_models.tables import Dimension

_STORAGE: Final = ".tbl.xml"
_SYSTEM_TABLES: Final = ("H$", "R$", "U$")
_READ_ELSEWHERE: Final = frozenset({"Database"})


@dataclass
class XmlModel:
    """
    Everything that the files say. *tables* and *system_tables* are by the name in their ``.tbl.xml``.

    *others* counts objects that nothing is made of, by their elements (``Role``).
    """

    dimensions: list[Dimension] = field(default_factory=list)
    cubes: list[Cube] = field(default_factory=list)
    measure_groups: list[MeasureGroup] = field(default_factory=list)
    partitions: list[Partition] = field(default_factory=list)
    data_sources: list[DataSource] = field(default_factory=list)
    source_names: dict[tuple[str, str], str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    calculation_properties: list[CalculationProperty] = field(default_factory=list)
    perspectives: list[Perspective] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    tables: dict[str, StoredTable] = field(default_factory=dict)
    system_tables: dict[str, StoredTable] = field(default_factory=dict)

    @property
    def script(self) -> script.Script:
        """
        What its script defines.

        Raises:
            FormatError: the script cannot be read.
        """
        return script.parse(self.commands, file="MdxScript")


def read(files: FileSet) -> XmlModel:
    """
    Read the metadata files of a model.

    Raises:
        FormatError: one of them is damaged, or two contradict each other.
        LimitError: one of them is too long.
        UnsupportedFeatureError: something is stored in a way that is not read.
        XmlMetadataError: it is no tabular model.
    """
    model = XmlModel()
    for name in files.names():
        if not name.endswith(".xml"):
            continue
        if files.byte_count(name) > XML_BYTE_COUNT_MAX:
            raise LimitError(f"XML of {files.byte_count(name)} bytes is over {XML_BYTE_COUNT_MAX}", file=name)
        if name.endswith(_STORAGE):
            _add_storage(model, files.read(name), name)
        else:
            loaded = ddl.parse(files.read(name), file=name)
            if loaded is not None:
                _add(model, loaded)
    if len(model.cubes) != 1:
        raise XmlMetadataError(
            f"the database has {len(model.cubes)} cubes, a tabular model has one",
            hint="multidimensional databases cannot be read",
        )
    _check_names([one.id for one in model.dimensions], "dimension")
    _check_names([one.id for one in model.measure_groups], "measure group")
    return model


def _add_storage(model: XmlModel, data: bytes | memoryview, file: str) -> None:
    is_system = file.rpartition("\\")[2].startswith(_SYSTEM_TABLES)
    try:
        table = storage.parse(data, file=file)
    except UnsupportedFeatureError:
        if not is_system:  # a system table can be made anew
            raise
        return
    others = model.system_tables if table.name.startswith(_SYSTEM_TABLES) else model.tables
    if table.name in others:
        raise FormatError(f"table {table.name!r} is also described by {others[table.name].file}", file=file)
    others[table.name] = table


def _add(model: XmlModel, loaded: Loaded) -> None:
    found = loaded.object
    match found.tag:
        case "Dimension":
            model.dimensions.append(tables.dimension(found))
        case "Cube":
            model.cubes.append(cube.cube(found))
        case "MeasureGroup":
            model.measure_groups.append(cube.measure_group(found))
        case "Partition":
            model.partitions.append(cube.partition(found, loaded.parents.get("MeasureGroupID", "")))
        case "DataSource":
            model.data_sources.append(cube.data_source(found))
        case "DataSourceView":
            model.source_names.update(cube.source_names(found))
        case "MdxScript":
            model.commands += cube.commands(found)
            model.calculation_properties += cube.calculation_properties(found)
        case "Perspective":
            model.perspectives.append(cube.perspective(found))
        case tag if tag not in _READ_ELSEWHERE:
            model.others[tag] = model.others.get(tag, 0) + 1


def _check_names(ids: list[str], what: str) -> None:
    twice = [one for one, count in Counter(ids).items() if count > 1]
    if twice:
        raise FormatError(f"{what} {twice[0]!r} is defined twice")
