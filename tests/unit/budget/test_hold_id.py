"""Ids of holds: opaque, URL-safe, and there and back the same."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sark_opa.budget import hold_id
from sark_opa.errors import UnknownHoldError

names = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)


@given(names, names)
def test_an_id_leads_back_to_its_hold(org, request_id):
    """Whatever the names are made of; and the id needs no escaping in a URL."""
    encoded = hold_id.encode(org, request_id)
    assert set(encoded) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert hold_id.decode(encoded) == (org, request_id)


def _encoded(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "!", "é", "a b", "../..", _encoded(b"acme"), _encoded(b"acme\nr\n1"), _encoded(b"\nr1"),
        _encoded(b"acme\n"), _encoded(b"\xff\nr1"), _encoded(b"acme\nr1") + "=", _encoded(b"acme\nr1") + "\n",
        # The last character carries spare bits: another spelling of the same bytes is no second id.
        hold_id.encode("acme", "r1")[:-1] + "B",
    ],
)  # fmt: skip
def test_what_encode_does_not_give_is_no_id(text):
    """Anything else is the id of no hold, and said to be."""
    assert text != hold_id.encode("acme", "r1")
    with pytest.raises(UnknownHoldError):
        hold_id.decode(text)
