"""
The XML namespaces of SOAP and XML for Analysis, by the prefixes that [MS-SSAS] 2.2.1 gives them.

Requests are matched by local name wherever a client's choice of namespace varies with its version (``2003/engine`` to
``2022/engine/922`` for the elements of one ``Restore``); answers are written with exactly these.
"""

from __future__ import annotations

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_1_2 = "http://www.w3.org/2003/05/soap-envelope"

XML_ANALYSIS = "urn:schemas-microsoft-com:xml-analysis"
ROWSET = f"{XML_ANALYSIS}:rowset"
EMPTY = f"{XML_ANALYSIS}:empty"
EXCEPTION = f"{XML_ANALYSIS}:exception"
XML_SQL = "urn:schemas-microsoft-com:xml-sql"

ENGINE = "http://schemas.microsoft.com/analysisservices/2003/engine"
MULTIPLE_RESULTS = "http://schemas.microsoft.com/analysisservices/2003/xmla-multipleresults"

SCHEMA = "http://www.w3.org/2001/XMLSchema"
SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
