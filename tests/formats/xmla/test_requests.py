from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from formats.xmla import requests as written
from tabvault.errors import CommandNotSupportedError, RequestError
from tabvault.formats.xmla import commands as c
from tabvault.formats.xmla.request import Discover, Execute, Parameter, SessionHeader, parse_request

ENGINE = written.ENGINE


def test_a_session_is_begun_by_an_empty_statement_and_unknown_headers_are_passed_over():
    body = '<Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command><Statement /></Command></Execute>'
    request = parse_request(written.envelope(body, written.BEGIN_SESSION))
    assert request.session == SessionHeader(begin=True)
    assert request.operation == Execute(c.Statement(""), {}, ())


def test_a_session_is_gone_on_with_and_ended_by_its_id():
    body = '<Execute xmlns="urn:schemas-microsoft-com:xml-analysis"><Command><Statement /></Command></Execute>'
    assert parse_request(written.envelope(body, written.SESSION)).session == SessionHeader(id="B9B6A566")
    ended = written.SESSION.replace("XA:Session ", "XA:EndSession ")
    assert parse_request(written.envelope(body, ended)).session == SessionHeader(id="B9B6A566", end=True)
    assert parse_request(written.envelope(body)).session == SessionHeader()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (written.SESSION + written.BEGIN_SESSION, "second of a session"),
        (written.SESSION.replace("SessionId", "Other"), "has no SessionId"),
        (f'<q:X xmlns:q="q" xmlns:s="{written.SOAP}" s:mustUnderstand="1"/>', "must be understood"),
        (written.SESSION.replace('"urn:schemas-microsoft-com:xml-analysis"', '"other"'), "must be understood"),
    ],
)
def test_a_header_that_cannot_be_followed_is_refused(header, message):
    with pytest.raises(RequestError, match=message) as refused:
        parse_request(written.envelope("<Execute/>", header))
    assert refused.value.line is not None


def test_a_discover_has_its_restrictions_and_properties_by_their_true_names():
    restrictions = (
        "<RestrictionList><CATALOG_NAME>a &amp; b</CATALOG_NAME><A_x0020_B><Value>x</Value></A_x0020_B><E/>"
        "</RestrictionList>"
    )
    assert parse_request(written.discover(restrictions)).operation == Discover(
        "DISCOVER_PROPERTIES", {"CATALOG_NAME": "a & b", "A B": "x", "E": ""}, {"LocaleIdentifier": "127"}
    )
    assert parse_request(written.discover()).operation == Discover(
        "DISCOVER_PROPERTIES", {}, {"LocaleIdentifier": "127"}
    )


@pytest.mark.parametrize(
    "restriction", ["<N><Value>1</Value><Value>2</Value></N>", "<N>1</N><N>2</N>", "<N><Value>1</Value></N><N>2</N>"]
)
def test_several_values_of_a_restriction_are_refused_by_name(restriction):
    with pytest.raises(CommandNotSupportedError, match="several values of 'N'"):
        parse_request(written.discover(f"<RestrictionList>{restriction}</RestrictionList>"))


def test_the_text_of_a_statement_is_exact():
    assert written.command_of("<Statement> a\n\t&lt;b&gt; &#13;\n </Statement>") == c.Statement(" a\n\t<b> \r\n ")
    mixed = "<Statement>x &amp; <![CDATA[<y> &amp; ]]><!-- no --> z<![CDATA[\n]]></Statement>"
    assert written.command_of(mixed) == c.Statement("x & <y> &amp;  z\n")


def test_a_statement_may_speak_of_document_types():
    assert written.command_of("<Statement><![CDATA[<!DOCTYPE a>]]></Statement>") == c.Statement("<!DOCTYPE a>")


def test_properties_of_any_name_are_kept():
    request = parse_request(written.execute("<Statement/>", properties="<Catalog>S</Catalog><Own> v </Own>"))
    assert isinstance(request.operation, Execute)
    assert request.operation.properties == {"Catalog": "S", "Own": " v "}


def test_backup():
    assert written.command_of(written.BACKUP) == c.Backup(
        database_id="Sales-ID",
        file="sales.abf",
        allow_overwrite=True,
        apply_compression=False,
        backup_remote_partitions=True,
        locations=(c.Location("r.abf", "ds"),),
        security=None,
        password="pass & word",
    )
    least = "<Backup><Object><DatabaseID>a</DatabaseID></Object><File>f</File><Password/></Backup>"
    assert written.command_of(least) == c.Backup(database_id="a", file="f")


def test_restore_has_elements_of_five_namespaces():
    assert written.command_of(written.RESTORE) == c.Restore(
        file="sales.abf",
        database_name="NewDb",
        database_id="NewDb-ID",
        allow_overwrite=True,
        read_write_mode="ReadOnly",
        locations=(c.Location("r.abf", "ds", "Local", "Password=cs-word", (("a", "b"),)),),
        security="IgnoreSecurity",
        db_storage_location="/x",
        ignore_incompatibilities=True,
        force_restore=True,
        password="pw",
    )
    assert written.command_of("<Restore><File>f</File></Restore>") == c.Restore(file="f")


def test_a_database_is_altered_created_and_dropped():
    definition = {
        "id": "Every",
        "name": "Every name",
        "description": "d",
        "compatibility_level": 1605,
        "storage_engine_used": "TabularMetadata",
        "language": 1033,
    }
    assert written.command_of(written.ALTER_DATABASE) == c.AlterDatabase(
        database_id="Every", allow_create=True, object_expansion="ExpandFull", **definition
    )
    inside = written.ALTER_DATABASE[written.ALTER_DATABASE.index("<ObjectDefinition>") :].replace("Alter", "Create")
    assert written.command_of(f'<Create AllowOverwrite="1">{inside}') == c.CreateDatabase(
        allow_overwrite=True, **definition
    )
    drop = '<Delete IgnoreFailures="true"><Object><DatabaseID>E</DatabaseID></Object></Delete>'
    assert written.command_of(drop) == c.Delete(database_id="E", ignore_failures=True)


def test_a_trace_is_created_followed_and_dropped():
    assert written.command_of(written.ALTER_TRACE) == c.AlterTrace(
        trace_id="T2",
        allow_create=True,
        id="T2",
        name="Trace 2",
        stop_time="9999-12-31T23:59:59.9999999Z",
        events=(c.TraceEvent(16, (0, 42)), c.TraceEvent(15, ())),
        filter=c.TraceCombination(
            "And",
            (c.TraceComparison("Equal", 39, "x"), c.TraceCombination("Not", (c.TraceComparison("Like", 37, "y"),))),
        ),
    )
    named = "<Object><TraceID>T2</TraceID></Object><SubscriptionId>S</SubscriptionId>"
    assert written.command_of(f"<Subscribe>{named}</Subscribe>") == c.Subscribe("S", "T2")
    own = "<Unsubscribe><SubscriptionId>S</SubscriptionId></Unsubscribe>"
    assert written.command_of(own) == c.Unsubscribe("S", None)
    dropped = "<Delete><Object><TraceID>T2</TraceID></Object></Delete>"
    assert written.command_of(dropped) == c.Delete(trace_id="T2")


@pytest.mark.parametrize(
    ("xml", "command"),
    [
        ("<BeginTransaction/>", c.BeginTransaction()),
        ("<CommitTransaction/>", c.CommitTransaction()),
        ("<RollbackTransaction/>", c.RollbackTransaction()),
        ("<Cancel/>", c.Cancel()),
        ("<Cancel><SPID>5</SPID><CancelAssociated>true</CancelAssociated></Cancel>", c.Cancel(None, None, 5, True)),
        ("<Cancel><SessionID>s</SessionID></Cancel>", c.Cancel(session_id="s")),
        ("<Cancel><ConnectionID>7</ConnectionID></Cancel>", c.Cancel(connection_id=7)),
        (
            "<Attach><Folder>/x</Folder><ReadWriteMode>ReadOnly</ReadWriteMode><Password>p</Password></Attach>",
            c.Attach(folder="/x", read_write_mode="ReadOnly", password="p"),
        ),
        (
            "<Detach><Object><DatabaseID>a</DatabaseID></Object><Password>p</Password></Detach>",
            c.Detach(database_id="a", password="p"),
        ),
    ],
)
def test_small_commands(xml, command):
    assert written.command_of(xml) == command


def test_object_changes_have_the_declared_columns_and_the_rows_as_they_are():
    assert written.command_of(written.CREATE_MEASURES) == c.ObjectChanges(
        "create",
        "Every",
        (
            c.Collection(
                "Measures",
                {"TableID": "unsignedLong", "TableID.Table": "string", "Name": "string", "Expression": "string"},
                (
                    {"TableID.Table": "Sales", "Name": "M <1>", "Expression": "1 +\n  2"},
                    {"TableID": "2", "Name": "", "Expression": None},
                ),
            ),
        ),
    )


@pytest.mark.parametrize("verb", ["Create", "Alter", "Delete", "Rename", "Refresh"])
def test_each_verb_of_object_changes(verb):
    changes = written.command_of(written.rows(verb, "Model", {"A": "long"}, written.row("<A>1</A>")))
    assert isinstance(changes, c.ObjectChanges)
    assert changes.verb == verb.lower()
    assert changes.collections[0].rows == ({"A": "1"},)


def test_column_names_are_decoded():
    declared = '<xs:element name="A_x0020_B" type="xs:long"/>'
    xml = written.rows("Alter", "Model", {}, written.row("<A_x0020_B>1</A_x0020_B>"))
    changes = written.command_of(xml.replace("<xs:sequence></xs:sequence>", f"<xs:sequence>{declared}</xs:sequence>"))
    assert isinstance(changes, c.ObjectChanges)
    assert changes.collections[0].columns == {"A B": "long"}
    assert changes.collections[0].rows == ({"A B": "1"},)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("<B>1</B>", "which its schema does not declare"),
        ("<A>1</A><A>2</A>", "has column 'A' twice"),
        ("<A><C/></A>", "not text"),
        ("x<A>1</A>", "holds text, not elements"),
    ],
)
def test_a_row_that_its_schema_does_not_describe_is_refused(cells, message):
    with pytest.raises(RequestError, match=message):
        written.command_of(written.rows("Alter", "Model", {"A": "long"}, written.row(cells)))


def test_a_batch_keeps_its_order():
    batch = written.command_of(written.BATCH)
    assert isinstance(batch, c.Batch)
    assert batch.transaction
    assert [type(command) for command in batch.commands] == [c.ObjectChanges, c.SequencePoint]
    assert batch.commands[1] == c.SequencePoint("Every")


def test_a_batch_of_discovers_of_hundreds():
    one = (
        '<Discover xmlns="urn:schemas-microsoft-com:xml-analysis"><RequestType>TMSCHEMA_MODEL</RequestType>'
        "<Restrictions><RestrictionList><DatabaseName>E</DatabaseName></RestrictionList></Restrictions>"
        "<Properties><PropertyList /></Properties></Discover>"
    )
    batch = written.command_of(f'<Batch Transaction="false" xmlns="{ENGINE}">{one * 500}</Batch>')
    assert batch == c.Batch(False, (Discover("TMSCHEMA_MODEL", {"DatabaseName": "E"}, {}),) * 500)


def test_what_is_parallel_stands_where_it_is_written():
    batch = written.command_of("<Batch><Cancel/><Parallel><BeginTransaction/></Parallel><CommitTransaction/></Batch>")
    assert batch == c.Batch(True, (c.Cancel(), c.BeginTransaction(), c.CommitTransaction()))


def test_a_hundred_thousand_rows():
    row = written.row("<ID>55</ID><Expression>1 + 2</Expression><Name>Total</Name>")
    columns = {"ID": "unsignedLong", "Expression": "string", "Name": "string"}
    changes = written.command_of(written.rows("Alter", "Measures", columns, row * 100_000))
    assert isinstance(changes, c.ObjectChanges)
    assert len(changes.collections[0].rows) == 100_000
    assert changes.collections[0].rows[99_999] == {"ID": "55", "Expression": "1 + 2", "Name": "Total"}


def test_parameters_are_values_of_their_types():
    request = parse_request(written.execute("<Statement>EVALUATE T</Statement>", parameters=written.PARAMETERS))
    assert isinstance(request.operation, Execute)
    assert request.operation.parameters == (
        Parameter("s", " x "),
        Parameter("i", -5),
        Parameter("l", 9223372036854775807),
        Parameter("d", 1e-7),
        Parameter("inf", float("-inf")),
        Parameter("b", True),
        Parameter("t", datetime.datetime(2024, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001 - a parameter has no zone
        Parameter("utc", datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
        Parameter("c", Decimal("1.50")),
        Parameter("null", None),
        Parameter("[a b]", "q"),
    )
    assert [type(p.value) for p in request.operation.parameters[1:6]] == [int, int, float, float, bool]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "2147483648"),
        ("int", "1.0"),
        ("unsignedByte", "-1"),
        ("double", "1,5"),
        ("double", "inf"),
        ("boolean", "yes"),
        ("decimal", "1E5"),
        ("dateTime", "2024-02-30T00:00:00"),
        ("dateTime", "2024-02-03"),
        ("dateTime", "2024-02-03T04:05:06+99:99"),
    ],
)
def test_a_parameter_that_is_no_value_of_its_type_is_refused(kind, text):
    parameters = written.PARAMETERS.replace('xsd:int">-5', f'xsd:{kind}">{text}')
    with pytest.raises(RequestError):
        parse_request(written.execute("<Statement/>", parameters=parameters))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("<Backup><File>f</File></Backup>", "lacks element Object"),
        ("<Backup><Object><DatabaseID/></Object><File>f</File></Backup>", "has an empty DatabaseID"),
        (written.BACKUP.replace("ApplyCompression", "Applycompression"), "unknown element 'Applycompression'"),
        (written.BACKUP.replace(">true<", ">yes<"), "is 'yes', not true or false"),
        (written.RESTORE.replace("ReadOnly<", "ReadMostly<"), "not one of ReadWrite, ReadOnly, ReadOnlyExclusive"),
        (written.RESTORE.replace("<Password>", "<File>g</File><Password>"), "holds element 'File' twice"),
        (f"<Batch>{written.BATCH}</Batch>", "stands inside another Batch"),
        ("<Nonsense/>", "element 'Nonsense' is no command"),
        ("<Cancel/><Cancel/>", "holds 2 elements, not one"),
        ("text", "holds text, not elements"),
        ("<Cancel><SPID>x</SPID></Cancel>", "is 'x', not a number"),
        (written.ALTER_TRACE.replace("Like>", "Sounds>"), "'Sounds' is no condition"),
        (written.ALTER_DATABASE.replace("State>", "Stat>"), "unknown element 'Stat'"),
    ],
)
def test_a_command_that_is_not_as_the_protocol_has_it_is_refused_with_its_line(command, message):
    with pytest.raises(RequestError, match=message) as refused:
        written.command_of(command)
    assert refused.value.line is not None


@pytest.mark.parametrize(
    "command",
    [
        "<ImageLoad/>",
        "<Process/>",
        "<Synchronize/>",
        "<Delete><Object><CubeID>c</CubeID></Object></Delete>",
        "<Create><ObjectDefinition><Role/></ObjectDefinition></Create>",
        written.ALTER_DATABASE.replace("<State>", "<Cubes><Cube/></Cubes><State>"),
    ],
)
def test_a_command_of_the_protocol_that_is_not_done_is_named_so(command):
    with pytest.raises(CommandNotSupportedError, match="not supported"):
        written.command_of(command)


def test_passwords_are_in_no_repr():
    shown = repr(
        [
            written.command_of(written.BACKUP),
            written.command_of(written.RESTORE),
            written.command_of("<Statement>{backup: pass &amp; word}</Statement>"),
            parse_request(
                written.discover("<RestrictionList><LOCATION_PASSWORD>pw</LOCATION_PASSWORD></RestrictionList>")
            ),
            parse_request(written.execute("<Statement/>", properties="<Password>pw</Password>")),
        ]
    )
    assert "Sales-ID" in shown
    for secret in ("pass & word", "cs-word", "pw"):
        assert secret not in shown


@pytest.mark.parametrize("broken", ["<Password>a&secret;b</Password>", "<Password>secret<x/></Password>"])
def test_an_error_does_not_quote_a_password(broken):
    with pytest.raises(RequestError) as refused:
        written.command_of(f"<Restore><File>f</File>{broken}</Restore>")
    assert "secret" not in str(refused.value)


def test_an_error_quotes_little_of_the_request():
    with pytest.raises(RequestError) as refused:
        written.command_of(f"<Restore><{'n' * 500}/></Restore>")
    assert "n" * 40 in str(refused.value)
    assert "n" * 41 not in str(refused.value)
