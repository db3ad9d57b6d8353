"""Rules of the firewall: names and ranges as Azure Analysis Services has them."""

from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvault.errors import FormatError, RequestError
from tabvault.storage.server_state.firewall_rules import (
    FirewallRule,
    FirewallSettings,
    load_firewall,
    parse_address,
    save_firewall,
)


def test_without_a_file_the_firewall_is_off(tmp_path):
    assert load_firewall(tmp_path) == FirewallSettings(enabled=False, rules=())


def test_a_file_written_by_hand_is_read(tmp_path):
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "firewall.json").write_text(
        '{"format_version": 1, "enabled": true, "rules": ['
        '{"name": "office", "start": "192.0.2.1", "end": "192.0.2.254"},'
        '{"name": "v6_lab-1", "start": "2001:db8::", "end": "2001:db8::ffff"}]}'
    )
    loaded = load_firewall(tmp_path)
    assert loaded.enabled
    assert loaded.rules[0] == FirewallRule(
        "office", ipaddress.IPv4Address("192.0.2.1"), ipaddress.IPv4Address("192.0.2.254")
    )
    assert loaded.rules[1].holds(ipaddress.ip_address("2001:db8::abc"))


def test_what_was_saved_is_loaded(tmp_path):
    saved = FirewallSettings(
        True, (FirewallRule.parse("a", "10.0.0.1", "10.0.0.1"), FirewallRule.parse("b", "::", "::2"))
    )
    save_firewall(tmp_path, saved)
    assert load_firewall(tmp_path) == saved


@pytest.mark.parametrize(
    ("name", "start", "end", "problem"),
    [
        ("", "10.0.0.1", "10.0.0.2", "name"),
        ("x" * 129, "10.0.0.1", "10.0.0.2", "name"),
        ("two words", "10.0.0.1", "10.0.0.2", "name"),
        ("ümlaut", "10.0.0.1", "10.0.0.2", "name"),
        ("line\n", "10.0.0.1", "10.0.0.2", "name"),
        ("a", "10.0.0.2", "10.0.0.1", "comes after"),
        ("a", "10.0.0.1", "::1", "IPv4 address, and ::1 is not"),
        ("a", "10.0.0.256", "10.0.0.1", "is not an IPv4 or IPv6 address"),
        ("a", "10.0.0.01", "10.0.0.1", "is not an IPv4 or IPv6 address"),
        ("a", "10.0.0.0/8", "10.0.0.1", "is not an IPv4 or IPv6 address"),
        ("a", "", "10.0.0.1", "is not an IPv4 or IPv6 address"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(name, start, end, problem):
    with pytest.raises(RequestError, match=problem):
        FirewallRule.parse(name, start, end)


def test_a_name_of_128_characters_is_one():
    assert FirewallRule.parse("x" * 128, "10.0.0.1", "10.0.0.1").name == "x" * 128


def test_an_ipv6_address_that_carries_an_ipv4_one_is_that_one():
    rule = FirewallRule.parse("a", "::ffff:192.0.2.1", "192.0.2.9")
    assert rule.start == ipaddress.IPv4Address("192.0.2.1")
    assert rule.holds(parse_address("::ffff:192.0.2.5"))
    assert rule.holds(parse_address("::FFFF:C000:0205"))
    assert not rule.holds(parse_address("::c000:205"))  # IPv4-compatible, deprecated: another address


def test_a_range_of_one_family_holds_no_address_of_the_other():
    assert not FirewallRule.parse("a", "::", "ffff::").holds(parse_address("10.0.0.1"))


def test_two_rules_of_one_name_are_refused(tmp_path):
    rules = (FirewallRule.parse("Office", "10.0.0.1", "10.0.0.1"), FirewallRule.parse("office", "10.0.0.2", "10.0.0.2"))
    with pytest.raises(RequestError, match="two firewall rules"):
        FirewallSettings(True, rules)
    (tmp_path / "server").mkdir()
    document = {
        "format_version": 1,
        "enabled": True,
        "rules": [{"name": name, "start": "10.0.0.1", "end": "10.0.0.1"} for name in ("Office", "office")],
    }
    (tmp_path / "server" / "firewall.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="two firewall rules"):
        load_firewall(tmp_path)


@settings(deadline=None, max_examples=200)
@given(st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)), st.ip_addresses(v=4))
def test_a_rule_holds_what_lies_between_its_ends(ends, address):
    start, end = sorted(ends)
    # The second opinion: the range as the networks that make it up.
    networks = ipaddress.summarize_address_range(start, end)
    expected = any(address in network for network in networks)
    assert FirewallRule.parse("a", str(start), str(end)).holds(address) is expected
