"""``Database.Backup`` and ``Server.Restore`` of Microsoft's library: what the options do is looked at from outside."""

from __future__ import annotations

import itertools
import json

import pytest
from pbixray import PBIXRay

from clients.client import ClientError

pytest_plugins = ["clients.fixtures"]

SMALL = "Hugoberry__abc.pbix"
WITH_ROLES = "Hugoberry__rls-sample-report.pbix"
ENCRYPTED = b"age-encryption.org/v1\n"
SIGNATURE = b"\xff\xfe" + "STREAM_STORAGE_SIGNATURE_)!@#$%^&*(".encode("utf-16-le")
HEADER_BYTE_COUNT = 4096
ROLES = "SELECT r.Name, m.MemberName FROM Role r LEFT JOIN RoleMembership m ON m.RoleID = r.ID ORDER BY 1, 2"
GENUINE_ROLES = ["Asia", "Dynamic RLS", "Europe", "Management", "United States"]


def header_of(backup: bytes) -> str:
    """The XML in the first page."""
    assert backup.startswith(SIGNATURE)
    return backup[len(SIGNATURE) : HEADER_BYTE_COUNT].decode("utf-16-le").rstrip("\0")


@pytest.mark.parametrize(
    ("overwrite", "compress", "password"), [*itertools.product((False, True), (False, True), (None, "p'ss <&> wörd"))]
)
def test_a_backup_has_the_form_that_its_options_ask_for(
    client, served, genuine, overwrite, compress, password, refused
):
    database = genuine(SMALL)
    file = f"forms/{overwrite}-{compress}-{password is None}.abf"
    if overwrite:
        client.backup(database, file)
        before = (served.backups / file).stat()
        client.backup(database, file, overwrite=True, compress=compress, password=password)
        assert (served.backups / file).stat().st_ino != before.st_ino
    else:
        client.backup(database, file, compress=compress, password=password)
    path = served.backups / file
    content = path.read_bytes()
    if password is None:
        assert f"<ApplyCompression>{str(compress).lower()}</ApplyCompression>" in header_of(content)
        assert list(PBIXRay(str(path)).tables) == ["ABC", "BrokenColumns"]
    else:
        assert content.startswith(ENCRYPTED)
        # A name long enough that random bytes do not hold it by chance.
        assert "BrokenColumns".encode("utf-16-le") not in content
        assert b"BrokenColumns" not in content
    assert refused("OperationException", client.backup, database, file) == (
        f"{file} exists already. Hint: choose another name, or ask for overwriting."
    )
    assert path.read_bytes() == content
    name = f"form {overwrite} {compress} {password is None}"
    client.restore(file, name, password=password)
    assert served.rows(name) == served.rows(database)
    client.drop(name)


@pytest.fixture(scope="module")
def file_with_members(client, served, genuine):
    """A backup of the sample with roles; in its role ``Asia`` is one member."""
    client.restore(served.put(WITH_ROLES), "of the file")
    client.add_member("of the file", "Asia", "file@contoso.com")
    client.backup("of the file", "members.abf")
    yield "members.abf"
    client.drop("of the file")


OF_FILE = [(role, "file@contoso.com" if role == "Asia" else None) for role in GENUINE_ROLES]
OF_TARGET = [(role, "target@contoso.com" if role == "Europe" else None) for role in GENUINE_ROLES]


@pytest.mark.parametrize(
    ("security", "as_new", "over"),
    [
        ("copyAll", OF_FILE, OF_FILE),
        ("skipMembership", [(role, None) for role in GENUINE_ROLES], OF_TARGET),
        ("ignoreSecurity", [], sorted([*OF_TARGET, ("Only here", "third@contoso.com")])),
    ],
)
def test_a_restore_brings_the_roles_that_its_security_asks_for(
    client, served, copy, file_with_members, security, as_new, over, refused
):
    client.restore(file_with_members, f"new {security}", security=security)
    assert served.ask(f"new {security}", ROLES) == as_new
    client.drop(f"new {security}")

    target = copy(WITH_ROLES)
    client.add_member(target, "Europe", "target@contoso.com")
    client.add_role(target, "Only here", "Read", ["third@contoso.com"])
    before = served.rows(target)
    message = refused("OperationException", client.restore, file_with_members, target, security=security)
    assert message.startswith(f"Database '{target}' exists and overwriting was not asked for.")
    assert served.rows(target) == before
    client.restore(file_with_members, target, security=security, overwrite=True)
    assert served.ask(target, ROLES) == over
    user_tables = "SELECT Name FROM [Table] WHERE SystemFlags & 1 = 0 ORDER BY 1"
    assert served.ask(target, user_tables) == served.ask("of the file", user_tables)


def test_a_restore_without_a_name_takes_the_one_in_the_file(client, served, copy):
    name = copy(SMALL)
    client.backup(name, "named.abf")
    client.drop(name)
    client.restore("named.abf")
    listed = client.databases()
    assert listed[name][0] == name
    assert client.query("EVALUATE 'ABC'", name)["rows"][0] == [["int", 1], ["int", 5]]


def test_a_restore_info_brings_its_other_options(client, served, genuine, refused):
    client.backup(genuine(SMALL), "info.abf", overwrite=True)
    client.restore_read_only("info.abf", "read-only", storage_location="/elsewhere")
    assert client.databases()["read-only"][3] == "ReadOnly"
    message = refused("OperationException", client.restore, "info.abf", "read-only", overwrite=True)
    assert message == "Database 'read-only' is readOnly. Hint: drop it, or choose another name."
    message = refused("OperationException", client.add_measure, "read-only", "ABC", "M", "1")
    assert "database 'read-only' is readOnly" in message.replace("Database", "database")
    client.undo_changes("read-only")
    assert served.ask("read-only", "SELECT count(*) FROM Measure") == [(0,)]
    client.drop("read-only")


@pytest.mark.parametrize(
    ("file", "password", "told"),
    [
        ("secret.abf", "nope", "The password does not open the file"),
        ("secret.abf", None, "The backup is encrypted and no password was given"),
        ("open.abf", "given", "A password was given and the backup is not encrypted"),
        ("nowhere/none.abf", None, "Object nowhere/none.abf: no such file or directory"),
        ("../open.abf", None, "The name '../open.abf' cannot be used: '..' begins with a dot"),
        ("/etc/../../passwd", None, "The name '/etc/../../passwd' cannot be used: '..' begins with a dot"),
        ("damaged.abf", None, "crc"),
        ("short.abf", None, ""),
        ("Hugoberry__live-connection-ssas.pbix", None, "model"),
    ],
)
def test_a_restore_that_cannot_be_is_refused_in_words(client, served, genuine, file, password, told, refused):
    if not (served.backups / "secret.abf").exists():
        client.backup(genuine(SMALL), "secret.abf", password="key")
        client.backup(genuine(SMALL), "open.abf", compress=False)
        content = bytearray((served.backups / "open.abf").read_bytes())
        (served.backups / "short.abf").write_bytes(content[: len(content) // 2])
        content[HEADER_BYTE_COUNT + 2000] ^= 1
        (served.backups / "damaged.abf").write_bytes(content)
        served.put("Hugoberry__live-connection-ssas.pbix")
    before = client.names()
    message = refused("OperationException", client.restore, file, "never", password=password)
    assert told.lower() in message.lower()
    assert "internal error" not in message
    assert client.names() == before


@pytest.mark.parametrize("file", ["../x.abf", "/../x.abf", "a/../../x.abf", "..\\x.abf", "C:\\x.abf"])
def test_a_backup_does_not_leave_the_storage(client, served, genuine, file, refused):
    before = set(served.backups.parents[2].rglob("x.abf"))
    assert "use a name like sales/monday.abf" in refused("OperationException", client.backup, genuine(SMALL), file)
    assert set(served.backups.parents[2].rglob("x.abf")) == before


def test_a_backup_of_what_is_not_there_is_refused(client, served):
    ((kind, message),) = client.backup_by_id("nothing", "nothing.abf")
    assert kind == "XmlaError"
    assert message.startswith("No database has the name or id 'nothing'")
    assert not (served.backups / "nothing.abf").exists()


def test_a_database_dropped_by_another_connection_is_refused(client, second_client, copy, refused):
    name = copy(SMALL)
    client.backup(name, "dropped.abf")
    second_client.drop(name)
    assert name in refused("OperationException", client.backup, name, "dropped.abf", overwrite=True)


def test_storage_that_is_not_configured_is_said_so(client, served, genuine, refused):
    name = genuine(SMALL)  # its restore needs the storage
    settings = served.backups.parents[1] / "settings.json"
    before = settings.read_text()
    document = json.loads(before)
    document["backup_storage"]["enabled"] = False
    settings.write_text(json.dumps(document))
    try:
        message = refused("OperationException", client.backup, name, "off.abf")
        assert message.startswith("Backup storage is not configured")
        with pytest.raises(ClientError, match="Backup storage is not configured"):
            client.restore("sales.abf", "off")
    finally:
        settings.write_text(before)
    assert not (served.backups / "off.abf").exists()


def test_the_shown_database_of_a_new_backup_is_the_one_in_the_file(client, served):
    """``Sales`` has an id of its own, which the header of the backup log carries."""
    client.backup("Sales", "sales again.abf", compress=False)
    content = (served.backups / "sales again.abf").read_bytes()
    assert "<ObjectId>Sales-ID</ObjectId>".encode("utf-16-le") in content or b"<ObjectId>Sales-ID</ObjectId>" in content
    assert list(PBIXRay(str(served.backups / "sales again.abf")).get_table("Sales").iloc[:, 1]) == ["Actual", "Budget"]
