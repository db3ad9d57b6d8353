from __future__ import annotations

from lxml import etree

from tabvault.formats.xmla import response
from tabvault.formats.xmla.response import Message

SYNTAX = Message(3238658052, 'The syntax for "<x>\n" & \x01 is incorrect.', "Tabvault", line=2, column=7)
CAUTION = Message(1092550658, "Careful", "Tabvault", is_warning=True)


def test_an_answer_without_rows_by_hand():
    answer = (
        response.envelope_begin("A&B")
        + response.EXECUTE_BEGIN
        + response.EMPTY_RESULT
        + response.EXECUTE_END
        + response.ENVELOPE_END
    )
    assert answer == (
        b'<?xml version="1.0" encoding="utf-8"?>'
        b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">'
        b'<soap:Header><Session xmlns="urn:schemas-microsoft-com:xml-analysis" SessionId="A&amp;B"/></soap:Header>'
        b'<soap:Body><ExecuteResponse xmlns="urn:schemas-microsoft-com:xml-analysis"><return>'
        b'<root xmlns="urn:schemas-microsoft-com:xml-analysis:empty"/>'
        b"</return></ExecuteResponse></soap:Body></soap:Envelope>"
    )
    assert b"Header" not in response.envelope_begin()


def test_several_results_stand_in_one_element():
    both = response.RESULTS_BEGIN + response.EMPTY_RESULT * 2 + response.RESULTS_END
    whole = response.envelope_begin() + response.DISCOVER_BEGIN + both + response.DISCOVER_END + response.ENVELOPE_END
    results = etree.fromstring(whole)[0][0][0][0]
    assert results.tag == "{http://schemas.microsoft.com/analysisservices/2003/xmla-multipleresults}results"
    assert [child.tag for child in results] == ["{urn:schemas-microsoft-com:xml-analysis:empty}root"] * 2


def test_a_fault_by_hand():
    assert response.fault(Message(3238658052, "No & <b>\n\r", "T")) == (
        b"<soap:Fault><faultcode>XMLAnalysisError.0xC10A0004</faultcode>"
        b"<faultstring>No &amp; &lt;b&gt;\n&#xD;</faultstring>"
        b'<detail><Error ErrorCode="3238658052" Description="No &amp; &lt;b&gt;&#xA;&#xD;" Source="T" HelpFile=""/>'
        b"</detail></soap:Fault>"
    )


def test_a_fault_carries_any_text_and_its_place():
    whole = etree.fromstring(response.envelope_begin() + response.fault(SYNTAX) + response.ENVELOPE_END)
    error = whole.find(".//{*}Error")
    assert error is not None
    assert error.get("Description") == 'The syntax for "<x>\n" & \ufffd is incorrect.'
    engine = "{http://schemas.microsoft.com/analysisservices/2003/engine}"
    assert error.findtext(f"{engine}Location/{engine}Start/{engine}Line") == "2"
    assert error.findtext(f"{engine}Location/{engine}Start/{engine}Column") == "7"


def test_errors_and_warnings_in_a_result():
    exception = "{urn:schemas-microsoft-com:xml-analysis:exception}"
    failed = etree.fromstring(response.result_messages([SYNTAX, CAUTION]))
    assert [child.tag for child in failed] == [f"{exception}Exception", f"{exception}Messages"]
    assert [child.tag for child in failed[1]] == [f"{exception}Error", f"{exception}Warning"]
    warned = etree.fromstring(response.result_messages([CAUTION]))
    assert [child.tag for child in warned] == [f"{exception}Messages"]
    assert dict(warned[0][0].attrib) == {
        "WarningCode": "1092550658",
        "Description": "Careful",
        "Source": "Tabvault",
        "HelpFile": "",
    }
