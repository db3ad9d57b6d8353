"""Verbs of the tabular object model (TOM and AMO): what SSMS and the cmdlets of PowerShell drive."""

from __future__ import annotations

import json
from typing import Any

import Microsoft.AnalysisServices as Amo
import Microsoft.AnalysisServices.Tabular as Tom
from connections import fresh_server, server

SECURITIES = {
    "copyAll": Amo.RestoreSecurity.CopyAll,
    "skipMembership": Amo.RestoreSecurity.SkipMembership,
    "ignoreSecurity": Amo.RestoreSecurity.IgnoreSecurity,
}


def _database(name: str, user: str) -> Any:
    found = server(user).Databases.FindByName(name)
    if found is None:
        server(user).Refresh()  # another connection may have made it
        found = server(user).Databases.GetByName(name)
    return found


def databases(user: str = "alice") -> dict[str, list]:
    """What a new connection sees: id, compatibility level, state and read-write mode by name."""
    return {
        one.Name: [one.ID, one.CompatibilityLevel, str(one.State), str(one.ReadWriteMode)]
        for one in fresh_server(user).Databases
    }


def server_facts(user: str = "alice") -> dict[str, Any]:
    one = fresh_server(user)
    return {
        "connected": one.Connected,
        "version": one.Version,
        "mode": str(one.ServerMode),
        "properties": {prop.Name: prop.Value for prop in one.ServerProperties},
    }


# ---- backup and restore


def backup(
    database: str,
    file: str,
    *,
    overwrite: bool = False,
    compress: bool = True,
    password: str | None = None,
    user: str = "alice",
) -> None:
    _database(database, user).Backup(file, overwrite, False, None, compress, password)


def backup_by_id(database_id: str, file: str, *, user: str = "alice") -> list:
    """The command as AMO sends it, for a database that AMO does not show."""
    namespace = "http://schemas.microsoft.com/analysisservices/2003/engine"
    target = f"<Object><DatabaseID>{database_id}</DatabaseID></Object><File>{file}</File>"
    return execute(f"<Backup xmlns='{namespace}'>{target}</Backup>", user=user)


def restore(
    file: str,
    name: str | None = None,
    *,
    overwrite: bool = False,
    password: str | None = None,
    security: str = "copyAll",
    user: str = "alice",
) -> None:
    server(user).Restore(file, name, overwrite, None, SECURITIES[security], password)


def restore_read_only(file: str, name: str, *, storage_location: str | None = None, user: str = "alice") -> None:
    """Through RestoreInfo, whose other properties no method has as parameters."""
    info = Amo.RestoreInfo(file, name)
    info.DatabaseReadWriteMode = Amo.ReadWriteMode.ReadOnly
    info.ForceRestore = True
    info.IgnoreIncompatibilities = True
    if storage_location is not None:
        info.DbStorageLocation = storage_location
    server(user).Restore(info)


def drop(database: str, *, user: str = "alice") -> None:
    _database(database, user).Drop()


def detach(database: str, *, user: str = "alice") -> None:
    _database(database, user).Detach()


def attach(folder: str, *, user: str = "alice") -> None:
    server(user).Attach(folder)


# ---- commands


def execute(text: str, *, user: str = "alice") -> list[list[str]]:
    """The messages of a command, each with its kind: ``XmlaError`` or ``XmlaWarning``."""
    return [
        [message.GetType().Name, message.Description]
        for result in server(user).Execute(text)
        for message in result.Messages
    ]


def cancel(session_id: str, *, user: str = "alice") -> None:
    server(user).CancelSession(session_id)


def session_id(user: str = "alice") -> str:
    return server(user).SessionID


# ---- the model


def model_json(database: str, *, user: str = "alice") -> dict:
    """The database as a new connection loads it, in Microsoft's own JSON."""
    options = Tom.SerializeOptions()
    options.IgnoreTimestamps = options.IgnoreInferredProperties = options.IgnoreInferredObjects = True
    options.SplitMultilineStrings = True
    return json.loads(Tom.JsonSerializer.SerializeDatabase(fresh_server(user).Databases.GetByName(database), options))


def create_database(definition: dict, *, user: str = "alice") -> None:
    made = Tom.JsonSerializer.DeserializeDatabase(json.dumps(definition))
    server(user).Databases.Add(made)
    made.Update(Amo.UpdateOptions.ExpandFull)


def add_table(database: str, table: str, columns: list[str], *, save: bool = True, user: str = "alice") -> None:
    model = _database(database, user).Model
    made = Tom.Table()
    made.Name = table
    for name in columns:
        column = Tom.DataColumn()
        column.Name = column.SourceColumn = name
        column.DataType = Tom.DataType.Int64
        made.Columns.Add(column)
    partition = Tom.Partition()
    partition.Name = table
    partition.Source = Tom.MPartitionSource()
    partition.Source.Expression = 'let Source = #table({"a"}, {}) in Source'
    made.Partitions.Add(partition)
    model.Tables.Add(made)
    _save(model, save)


def add_measure(
    database: str, table: str, measure: str, expression: str, *, save: bool = True, user: str = "alice"
) -> None:
    model = _database(database, user).Model
    made = Tom.Measure()
    made.Name, made.Expression = measure, expression
    model.Tables[table].Measures.Add(made)
    _save(model, save)


def add_role(
    database: str, role: str, permission: str, members: list[str], *, save: bool = True, user: str = "alice"
) -> None:
    model = _database(database, user).Model
    made = Tom.ModelRole()
    made.Name, made.ModelPermission = role, getattr(Tom.ModelPermission, permission)
    for member in members:
        one = Tom.ExternalModelRoleMember()
        one.MemberName, one.IdentityProvider = member, "AzureAD"
        made.Members.Add(one)
    model.Roles.Add(made)
    _save(model, save)


def add_member(database: str, role: str, member: str, *, user: str = "alice") -> None:
    model = _database(database, user).Model
    made = Tom.ExternalModelRoleMember()
    made.MemberName, made.IdentityProvider = member, "AzureAD"
    model.Roles[role].Members.Add(made)
    model.SaveChanges()


def set_row_filter(database: str, role: str, table: str, expression: str, *, user: str = "alice") -> None:
    model = _database(database, user).Model
    model.Roles[role].TablePermissions[table].FilterExpression = expression
    model.SaveChanges()


def add_relationship(
    database: str, from_column: list[str], to_column: list[str], *, save: bool = True, user: str = "alice"
) -> None:
    model = _database(database, user).Model
    made = Tom.SingleColumnRelationship()
    made.FromColumn = model.Tables[from_column[0]].Columns[from_column[1]]
    made.ToColumn = model.Tables[to_column[0]].Columns[to_column[1]]
    model.Relationships.Add(made)
    _save(model, save)


def rename_table(database: str, old: str, new: str, *, save: bool = True, user: str = "alice") -> None:
    model = _database(database, user).Model
    model.Tables[old].Name = new
    _save(model, save)


def rename_column(database: str, table: str, old: str, new: str, *, save: bool = True, user: str = "alice") -> None:
    model = _database(database, user).Model
    model.Tables[table].Columns[old].Name = new
    _save(model, save)


def set_measure(database: str, table: str, measure: str, expression: str, *, user: str = "alice") -> None:
    model = _database(database, user).Model
    model.Tables[table].Measures[measure].Expression = expression
    model.SaveChanges()


def delete_measure(database: str, table: str, measure: str, *, save: bool = True, user: str = "alice") -> None:
    model = _database(database, user).Model
    measures = model.Tables[table].Measures
    measures.Remove(measures[measure])
    _save(model, save)


def delete_table(database: str, table: str, *, save: bool = True, user: str = "alice") -> None:
    model = _database(database, user).Model
    model.Tables.Remove(model.Tables[table])
    _save(model, save)


def save_changes(database: str, *, user: str = "alice") -> None:
    """What was changed with ``save=False``, all at once."""
    _database(database, user).Model.SaveChanges()


def undo_changes(database: str, *, user: str = "alice") -> None:
    """Forget what was not saved."""
    _database(database, user).Model.UndoLocalChanges()


def refresh(
    database: str,
    kind: str,
    table: str | None = None,
    partition: str | None = None,
    *,
    save: bool = True,
    user: str = "alice",
) -> None:
    """Ask for it of the model, of a table or of a partition; with ``save=False`` it goes with the next changes."""
    model = _database(database, user).Model
    target = model if table is None else model.Tables[table]
    if partition is not None:
        target = target.Partitions[partition]
    target.RequestRefresh(getattr(Tom.RefreshType, kind))
    if not save:
        return
    try:
        model.SaveChanges()
    finally:
        model.UndoLocalChanges()


def begin_transaction(*, user: str = "alice") -> None:
    server(user).BeginTransaction()


def commit_transaction(*, user: str = "alice") -> None:
    server(user).CommitTransaction()


def roll_back_transaction(*, user: str = "alice") -> None:
    server(user).RollbackTransaction()


def _save(model: Any, wanted: bool) -> None:
    if wanted:
        model.SaveChanges()
