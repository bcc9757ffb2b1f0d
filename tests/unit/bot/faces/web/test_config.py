import pytest

from bot.errors import BadConfiguration
from bot.faces.web.config import WebConfig, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    assert not WebConfig(host=host).demands_login


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "art.example", ""])
def test_any_other_address_without_a_token_refuses_to_start(host):
    with pytest.raises(BadConfiguration, match="ATELIER_WEB__TOKEN"):
        WebConfig(host=host)


def test_a_token_that_could_be_guessed_is_refused():
    with pytest.raises(BadConfiguration, match="12 characters"):
        WebConfig(host="0.0.0.0", token="1234")


def test_a_token_on_loopback_is_demanded_too():
    assert WebConfig(token="correct horse battery").demands_login


def test_names_that_are_no_addresses_are_not_this_machine():
    assert not is_loopback("localhost.example")
