"""Requests written out by hand from the specification and the forms that AMO and ADOMD.NET send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabvault.formats.xmla.request import Execute, parse_request

if TYPE_CHECKING:
    from tabvault.formats.xmla.commands import Command

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
ENGINE = "http://schemas.microsoft.com/analysisservices/2003/engine"
ENGINE_2014 = "http://schemas.microsoft.com/analysisservices/2014/engine"


def envelope(body: str, header: str = "") -> bytes:
    return (
        f'\ufeff<Envelope xmlns="{SOAP}">\n  <Header>{header}</Header>\n  <Body>\n{body}\n  </Body>\n</Envelope>'
    ).encode()


def execute(command: str, *, properties: str = "", parameters: str = "") -> bytes:
    return envelope(
        '<Execute xmlns="urn:schemas-microsoft-com:xml-analysis">'
        f"<Command>{command}</Command><Properties><PropertyList>{properties}</PropertyList></Properties>"
        f"{parameters}</Execute>"
    )


def discover(restrictions: str = "", *, request_type: str = "DISCOVER_PROPERTIES") -> bytes:
    return envelope(
        '<Discover xmlns="urn:schemas-microsoft-com:xml-analysis">'
        f"<RequestType>{request_type}</RequestType><Restrictions>{restrictions}</Restrictions>"
        "<Properties><PropertyList><LocaleIdentifier>127</LocaleIdentifier></PropertyList></Properties></Discover>"
    )


def command_of(command: str) -> Command:
    operation = parse_request(execute(command)).operation
    assert isinstance(operation, Execute)
    return operation.command


BEGIN_SESSION = f"""<BeginSession soap:mustUnderstand="1" xmlns:soap="{SOAP}"
    xmlns="urn:schemas-microsoft-com:xml-analysis" />
    <Version Sequence="926" xmlns="http://schemas.microsoft.com/analysisservices/2003/engine/2" />
    <NamespaceCompatibility xmlns="http://schemas.microsoft.com/analysisservices/2003/xmla" mustUnderstand="0"/>"""

SESSION = f"""<XA:Session soap:mustUnderstand="1" SessionId="B9B6A566" xmlns:soap="{SOAP}"
    xmlns:XA="urn:schemas-microsoft-com:xml-analysis" />"""

BACKUP = f"""<Backup xmlns="{ENGINE}">
  <Object><DatabaseID>Sales-ID</DatabaseID></Object>
  <File>sales.abf</File>
  <AllowOverwrite>true</AllowOverwrite>
  <BackupRemotePartitions>true</BackupRemotePartitions>
  <Locations><Location><File>r.abf</File><DataSourceID>ds</DataSourceID></Location></Locations>
  <ApplyCompression>false</ApplyCompression>
  <Password>pass &amp; word</Password>
</Backup>"""

RESTORE = f"""<Restore xmlns="{ENGINE}">
  <File>sales.abf</File>
  <DatabaseName>NewDb</DatabaseName>
  <DatabaseID>NewDb-ID</DatabaseID>
  <AllowOverwrite>true</AllowOverwrite>
  <ReadWriteMode xmlns="http://schemas.microsoft.com/analysisservices/2008/engine/100">ReadOnly</ReadWriteMode>
  <Locations><Location><File>r.abf</File><DataSourceID>ds</DataSourceID><DataSourceType>Local</DataSourceType>
    <ConnectionString>Password=cs-word</ConnectionString>
    <Folders><Folder><Original>a</Original><New>b</New></Folder></Folders></Location></Locations>
  <Security>IgnoreSecurity</Security>
  <Password>pw</Password>
  <DbStorageLocation xmlns="http://schemas.microsoft.com/analysisservices/2008/engine/100/100">/x</DbStorageLocation>
  <IgnoreIncompatibilities xmlns="http://schemas.microsoft.com/analysisservices/2020/engine/920"
    >true</IgnoreIncompatibilities>
  <ForceRestore xmlns="http://schemas.microsoft.com/analysisservices/2022/engine/922">true</ForceRestore>
</Restore>"""

ALTER_DATABASE = f"""<Alter AllowCreate="true" ObjectExpansion="ExpandFull" xmlns="{ENGINE}">
  <Object><DatabaseID>Every</DatabaseID></Object>
  <ObjectDefinition><Database xmlns:ddl200="http://schemas.microsoft.com/analysisservices/2010/engine/200"
      xmlns:ddl200_200="http://schemas.microsoft.com/analysisservices/2010/engine/200/200">
    <ID>Every</ID><Name>Every name</Name>
    <ddl200:CompatibilityLevel>1605</ddl200:CompatibilityLevel>
    <ddl200_200:StorageEngineUsed>TabularMetadata</ddl200_200:StorageEngineUsed>
    <Description>d</Description><Language>1033</Language><State>Processed</State>
  </Database></ObjectDefinition>
</Alter>"""

ALTER_TRACE = f"""<Alter AllowCreate="true" ObjectExpansion="ObjectProperties" xmlns="{ENGINE}">
  <Object><TraceID>T2</TraceID></Object>
  <ObjectDefinition><Trace><ID>T2</ID><Name>Trace 2</Name><StopTime>9999-12-31T23:59:59.9999999Z</StopTime>
    <Events><Event><EventID>16</EventID><Columns><ColumnID>0</ColumnID><ColumnID>42</ColumnID></Columns></Event>
      <Event><EventID>15</EventID><Columns/></Event></Events>
    <Filter><And><Equal><ColumnID>39</ColumnID><Value>x</Value></Equal>
      <Not><Like><ColumnID>37</ColumnID><Value>y</Value></Like></Not></And></Filter>
  </Trace></ObjectDefinition>
</Alter>"""


def rows(verb: str, collection: str, columns: dict[str, str], row_elements: str) -> str:
    declared = "".join(
        f'<xs:element name="{name}" type="xs:{kind}" sql:field="{name}" minOccurs="0" />'
        for name, kind in columns.items()
    )
    return f"""<{verb} xmlns="{ENGINE_2014}">
  <DatabaseID>Every</DatabaseID>
  <{collection}>
    <xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:sql="urn:schemas-microsoft-com:xml-sql">
      <xs:element><xs:complexType><xs:sequence><xs:element type="row" /></xs:sequence></xs:complexType></xs:element>
      <xs:complexType name="row"><xs:sequence>{declared}</xs:sequence></xs:complexType>
    </xs:schema>
    {row_elements}
  </{collection}>
</{verb}>"""


def row(cells: str) -> str:
    return (
        '<row xmlns="urn:schemas-microsoft-com:xml-analysis:rowset"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{cells}</row>'
    )


CREATE_MEASURES = rows(
    "Create",
    "Measures",
    {"TableID": "unsignedLong", "TableID.Table": "string", "Name": "string", "Expression": "string"},
    row("<TableID.Table>Sales</TableID.Table><Name>M &lt;1&gt;</Name><Expression>1 +\n  2</Expression>")
    + row('<TableID>2</TableID><Name></Name><Expression xsi:nil="true"/>'),
)
SEQUENCE_POINT = f'<SequencePoint xmlns="{ENGINE_2014}"><DatabaseID>Every</DatabaseID></SequencePoint>'
BATCH = f'<Batch Transaction="true" xmlns="{ENGINE}">{CREATE_MEASURES}{SEQUENCE_POINT}</Batch>'
PARAMETERS = """<Parameters xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xmlns:xsd="http://www.w3.org/2001/XMLSchema">
  <Parameter><Name>s</Name><Value xsi:type="xsd:string"> x </Value></Parameter>
  <Parameter><Name>i</Name><Value xsi:type="xsd:int">-5</Value></Parameter>
  <Parameter><Name>l</Name><Value xsi:type="xsd:long">9223372036854775807</Value></Parameter>
  <Parameter><Name>d</Name><Value xsi:type="xsd:double">1E-07</Value></Parameter>
  <Parameter><Name>inf</Name><Value xsi:type="xsd:double">-INF</Value></Parameter>
  <Parameter><Name>b</Name><Value xsi:type="xsd:boolean">true</Value></Parameter>
  <Parameter><Name>t</Name><Value xsi:type="xsd:dateTime">2024-01-02T03:04:05.1234567</Value></Parameter>
  <Parameter><Name>utc</Name><Value xsi:type="xsd:dateTime">2024-01-02T03:04:05Z</Value></Parameter>
  <Parameter><Name>c</Name><Value xsi:type="xsd:decimal">1.50</Value></Parameter>
  <Parameter><Name>null</Name><Value xsi:nil="true" /></Parameter>
  <Parameter><Name>[a b]</Name><Value>q</Value></Parameter>
</Parameters>"""
