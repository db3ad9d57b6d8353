"""Who may connect at all."""

from __future__ import annotations

import dataclasses

import pytest

from tabvault.errors import AddressBlockedError, RequestError
from tabvault.jobs.access.firewall import Firewall
from tabvault.storage.server_state.firewall_rules import FirewallRule


def lets_in(firewall, address):
    try:
        firewall.check(address, server="vault")
    except AddressBlockedError:
        return False
    return True


def switch_on(firewall):
    firewall.replace(dataclasses.replace(firewall.settings, enabled=True))


def test_a_new_server_lets_everybody_in(tmp_path):
    assert lets_in(Firewall(tmp_path), "203.0.113.9")


def test_without_rules_it_lets_in_loopback_alone(tmp_path):
    firewall = Firewall(tmp_path)
    switch_on(firewall)
    allowed = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
    blocked = ["203.0.113.9", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "0.0.0.0", "::", "testclient", ""]  # noqa: S104
    assert [lets_in(firewall, address) for address in allowed + blocked] == [True] * 4 + [False] * 8


def test_the_rules_let_in_their_ranges_and_survive_a_restart(tmp_path):
    firewall = Firewall(tmp_path)
    firewall.put_rule(FirewallRule.parse("office", "203.0.113.10", "203.0.113.20"))
    firewall.put_rule(FirewallRule.parse("lab", "2001:db8::", "2001:db8::ff"))
    switch_on(firewall)
    for again in (firewall, Firewall(tmp_path)):
        assert lets_in(again, "203.0.113.10")
        assert lets_in(again, "203.0.113.20")
        assert lets_in(again, "::ffff:203.0.113.15")
        assert lets_in(again, "2001:db8::1")
        assert not lets_in(again, "203.0.113.9")
        assert not lets_in(again, "203.0.113.21")
        assert not lets_in(again, "2001:db8::100")


def test_a_rule_takes_the_place_of_the_one_of_its_name(tmp_path):
    firewall = Firewall(tmp_path)
    firewall.put_rule(FirewallRule.parse("office", "203.0.113.10", "203.0.113.20"))
    firewall.put_rule(FirewallRule.parse("Office", "198.51.100.1", "198.51.100.1"))
    switch_on(firewall)
    assert [rule.name for rule in firewall.settings.rules] == ["Office"]
    assert not lets_in(firewall, "203.0.113.10")
    firewall.remove_rule("OFFICE")
    assert not lets_in(firewall, "198.51.100.1")
    with pytest.raises(RequestError, match="no firewall rule"):
        firewall.remove_rule("office")


def test_a_blocked_client_reads_the_text_of_analysis_services(tmp_path):
    firewall = Firewall(tmp_path)
    switch_on(firewall)
    with pytest.raises(AddressBlockedError) as caught:
        firewall.check("203.0.113.9", server="vault")
    assert caught.value.message.startswith(
        "Cannot connect to server 'vault'. Client with IP Address '203.0.113.9' is not allowed to access the server. "
        "To enable access, use the Firewall settings"
    )
    assert caught.value.http_status == 401
