"""Stories at the door: proxies, certificates, addresses, and those who try to slip something past it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from gridkeeper.errors import BadConfiguration
from gridkeeper.settings import Issuer, Server, Trust
from gridkeeper.trust.addresses import client_of
from gridkeeper.trust.door import Door
from gridkeeper.trust.refusals import NotRecognised
from gridkeeper.trust.senders import refusal

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.trust.conftest import Collector

PROXY = "192.0.2.10"
OTHER_PROXY = "192.0.2.11"
ALICE = "203.0.113.7"
MALLORY = "198.51.100.66"
UTAH = "CN=ce.example.edu,O=University of Utah,C=US"
NEBRASKA = "CN=red.example.edu,O=University of Nebraska,C=US"
HEADER = b"X-SSL-Client-S-DN"
SERVER = Server(proxies=(ip_network("192.0.2.8/29"),))
TRUST = Trust(
    certificates={UTAH: ("Utah-*",), NEBRASKA: ("Nebraska",)},
    addresses=(ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")),
)


@pytest.fixture
def guarded(collector: Collector) -> Collector:
    """Behind a proxy; the sites have certificates, and there are old probes in 203.0.113.0/24."""
    collector.reopen(SERVER, TRUST)
    return collector


def test_nobody_gets_in_by_default(collector: Collector) -> None:
    with pytest.raises(NotRecognised, match=r"the request from 127\.0\.0\.1 has no credentials") as refused:
        collector.ask(peer="127.0.0.1")
    assert refused.value.status == 401
    assert refused.value.challenge == 'Bearer realm="gridkeeper"'
    assert refused.value.permanent


def test_alice_is_known_by_the_certificate_that_the_proxy_saw(guarded: Collector) -> None:
    alice = guarded.ask(peer=PROXY, X_SSL_Client_S_DN=UTAH, X_Forwarded_For=MALLORY)
    assert alice.name == f"subject {UTAH}"
    assert alice.role == "probe"
    assert alice.address == MALLORY
    assert alice.may_send_for("Utah-Kingspeak")
    assert not alice.may_send_for("Nebraska")
    assert refusal(alice, "Nebraska") == (
        f"this sender (subject {UTAH}) may send for Utah-* only; it asked for Nebraska"
    )


@pytest.mark.parametrize(
    "peer", [MALLORY, "", "unix:", "192.0.2.10.example.org", "::ffff:198.51.100.66", "2001:db9::1"]
)
def test_a_certificate_header_from_anywhere_else_is_as_if_it_were_not_there(
    guarded: Collector, peer: str
) -> None:
    with pytest.raises(NotRecognised, match="has no credentials"):
        guarded.ask(peer=peer, X_SSL_Client_S_DN=UTAH, X_Forwarded_For=PROXY)


def test_a_certificate_header_from_outside_gives_nothing_beyond_the_address(guarded: Collector) -> None:
    sender = guarded.ask(peer=ALICE, X_SSL_Client_S_DN=NEBRASKA)
    assert sender.name == f"address {ALICE}"


@pytest.mark.parametrize(
    "headers",
    [
        [(HEADER, UTAH.encode()), (HEADER, NEBRASKA.encode())],
        [(HEADER, UTAH.encode()), (HEADER.lower(), UTAH.encode())],
        [(HEADER, b""), (HEADER, UTAH.encode())],
    ],
)
def test_a_repeated_certificate_header_is_refused(
    guarded: Collector, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(NotRecognised, match="x-ssl-client-s-dn 2 times; a proxy sets it once"):
        guarded.door.recognise(headers, PROXY)


@pytest.mark.parametrize("name", [b"X_SSL_Client_S_DN", b"x-ssl-client-s_dn", b"X_SSL-CLIENT-S-DN"])
@pytest.mark.parametrize("beside", [[], [(HEADER, NEBRASKA.encode())]])
def test_a_lookalike_with_underscores_is_refused(
    guarded: Collector, name: bytes, beside: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(NotRecognised, match="a proxy lets neither pass from outside"):
        guarded.door.recognise([(name, UTAH.encode()), *beside], PROXY)
    with pytest.raises(NotRecognised, match="has no credentials"):
        guarded.door.recognise([(name, UTAH.encode()), *beside], MALLORY)


@pytest.mark.parametrize(
    "value",
    [
        f"{UTAH}, {NEBRASKA}",  # two headers that something on the way has joined
        f"{UTAH},{NEBRASKA}",
        f"{NEBRASKA},O=x",
        "CN=ce.example.edu",
        UTAH.lower(),
        UTAH.replace(",", ", "),
        f"{UTAH}\\",
        "Utah-*",
        "*",
        "CN=*",
    ],
)
def test_a_subject_is_known_whole_or_not_at_all(guarded: Collector, value: str) -> None:
    with pytest.raises(
        NotRecognised, match=r"is not known here; the operator names it, just so, in trust.certificates"
    ):
        guarded.ask(peer=PROXY, X_SSL_Client_S_DN=value)


@pytest.mark.parametrize(
    "value", [UTAH.encode() + b"\x00", b"CN=a\tb", b"CN=\xff", b"C" * 3000, b"CN=a\xe2\x80\xa8b"]
)
def test_a_subject_that_cannot_be_shown_is_refused(guarded: Collector, value: bytes) -> None:
    with pytest.raises(NotRecognised, match="holds no subject"):
        guarded.door.recognise([(HEADER, value)], PROXY)


def test_an_empty_subject_is_none(guarded: Collector) -> None:
    with pytest.raises(NotRecognised, match="has no credentials"):
        guarded.ask(peer=PROXY, X_SSL_Client_S_DN=" ", X_Forwarded_For=MALLORY)


def test_another_header_may_be_configured_and_then_the_first_means_nothing(collector: Collector) -> None:
    collector.reopen(Server(proxies=SERVER.proxies, certificate_header="X-Cert-DN"), TRUST)
    assert collector.ask(peer=PROXY, X_Cert_DN=UTAH).may_send_for("Utah-Kingspeak")
    with pytest.raises(NotRecognised):
        collector.ask(peer=PROXY, X_SSL_Client_S_DN=UTAH)


def test_an_old_probe_is_known_by_its_address(guarded: Collector) -> None:
    old = guarded.ask(peer=ALICE)
    assert (old.name, old.role, old.resources) == (f"address {ALICE}", "probe", None)
    assert old.may_send_for("Nebraska")
    assert guarded.ask(peer=PROXY, X_Forwarded_For=ALICE).name == f"address {ALICE}"
    assert guarded.ask(peer="2001:db8::7").name == "address 2001:db8::7"
    assert guarded.ask(peer="::ffff:203.0.113.7").name == f"address {ALICE}"


@pytest.mark.parametrize(
    "forwarded",
    [
        f"{ALICE}, {MALLORY}",  # what the proxy adds stands last
        f"{ALICE},{MALLORY}, {OTHER_PROXY}",
        f"{MALLORY}",
        f"{ALICE}, {MALLORY}:4711",
        f"{ALICE}, unknown",
        f"{ALICE}, ",
        f"{ALICE}, not-an-address, {OTHER_PROXY}",
        f"{ALICE}, 203.0.113.0/24",
        f"{ALICE} {MALLORY}",
        "",
    ],
)
def test_an_address_written_into_the_header_by_the_client_opens_nothing(
    guarded: Collector, forwarded: str
) -> None:
    with pytest.raises(NotRecognised, match="has no credentials"):
        guarded.ask(peer=PROXY, X_Forwarded_For=forwarded)


def test_a_forwarded_address_from_anybody_but_a_proxy_is_not_looked_at(guarded: Collector) -> None:
    with pytest.raises(NotRecognised, match=f"from {MALLORY} has"):
        guarded.ask(peer=MALLORY, X_Forwarded_For=ALICE)


def test_repeated_forwarded_headers_are_one_list(guarded: Collector) -> None:
    headers = [(b"X-Forwarded-For", ALICE.encode()), (b"x-forwarded-for", MALLORY.encode())]
    with pytest.raises(NotRecognised, match=f"from {MALLORY} has"):
        guarded.door.recognise(headers, PROXY)


def test_a_proxy_that_passes_on_no_address_vouches_for_nobody(collector: Collector) -> None:
    trust = Trust(addresses=(ip_network("192.0.2.0/24"),))
    collector.reopen(SERVER, trust)
    with pytest.raises(NotRecognised, match=f"from {PROXY} has no credentials"):
        collector.ask(peer=PROXY)
    assert collector.ask(peer="192.0.2.200").name == "address 192.0.2.200"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (ALICE, [], ALICE),
        (ALICE, [MALLORY], ALICE),
        (PROXY, [ALICE], ALICE),
        (PROXY, [f"{MALLORY}, {ALICE}, {OTHER_PROXY}"], ALICE),
        (PROXY, ["[2001:db8::1]:443"], "2001:db8::1"),
        (PROXY, [f"{ALICE}:50000"], ALICE),
        (PROXY, [", ".join([ALICE] + [OTHER_PROXY] * 50)], OTHER_PROXY),
        (PROXY, [OTHER_PROXY], OTHER_PROXY),
        ("fe80::1%eth0", [], "fe80::1"),
        ("", [], "unknown"),
        ("a\nb", [], "a�b"),
    ],
)
def test_where_a_request_comes_from(peer: str, forwarded: list[str], address: str) -> None:
    assert client_of(peer, forwarded, SERVER.proxies).address == address


def test_a_token_goes_before_certificate_and_address(guarded: Collector) -> None:
    token = guarded.give("Nebraska", name="Red")
    sender = guarded.ask(token, peer=PROXY, X_SSL_Client_S_DN=UTAH, X_Forwarded_For=ALICE)
    assert sender.name.endswith("(Red)")
    assert sender.address == ALICE
    assert not sender.may_send_for("Utah-Kingspeak")


@pytest.mark.parametrize(
    "token", ["gk_00000000_" + "0" * 48, "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."]
)
def test_a_bad_token_is_not_made_good_by_certificate_or_address(guarded: Collector, token: str) -> None:
    with pytest.raises(NotRecognised):
        guarded.ask(token, peer=PROXY, X_SSL_Client_S_DN=UTAH, X_Forwarded_For=ALICE)


def test_two_authorization_headers_are_refused(guarded: Collector) -> None:
    token = guarded.give("Nebraska").encode()
    for second in (b"Bearer " + token, b"Bearer x", b"Basic YTpi", b""):
        headers = [(b"Authorization", b"Bearer " + token), (b"authorization", second)]
        with pytest.raises(NotRecognised, match="one header `Authorization: Bearer TOKEN`") as refused:
            guarded.door.recognise(headers, ALICE)
        assert refused.value.challenge == 'Bearer realm="gridkeeper", error="invalid_request"'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer {0}, Bearer {0}",
        "Bearer {0} {0}",
        "{0}",
        "Bearer\t{0}",
        "Bearer {0}\u00e9",
    ],
)
def test_an_authorization_header_of_another_form_is_refused(guarded: Collector, value: str) -> None:
    token = guarded.give("Nebraska")
    with pytest.raises(NotRecognised, match="one header"):
        guarded.ask(peer=ALICE, Authorization=value.format(token))


def test_the_word_bearer_is_read_without_case(guarded: Collector) -> None:
    token = guarded.give("Nebraska")
    assert guarded.ask(peer=MALLORY, authorization=f"bEARER  {token} ").may_send_for("Nebraska")


ISSUER = Issuer(issuer="https://issuer.example.org", audience=("https://collector.example.org",))


@pytest.mark.parametrize(
    ("server", "trust", "sentence"),
    [
        (Server(proxies=(ip_network("0.0.0.0/0"),)), Trust(), "server.proxies: 0.0.0.0/0 is everybody"),
        (Server(), Trust(addresses=(ip_network("::/0"),)), "trust.addresses: ::/0 is everybody"),
        (Server(), Trust(certificates={UTAH: ("Utah-*",)}), "name the proxies in server.proxies"),
        (SERVER, Trust(certificates={" ": ("Utah-*",)}), "a subject is empty"),
        (Server(certificate_header="X_Cert"), Trust(), "'X_Cert' cannot be"),
        (Server(certificate_header="Authorization"), Trust(), "'Authorization' cannot be"),
        (Server(), Trust(issuers=(ISSUER, ISSUER)), "is there twice"),
        (Server(), Trust(issuers=(ISSUER.model_copy(update={"audience": ()}),)), "`audience` is empty"),
        (Server(), Trust(issuers=(ISSUER.model_copy(update={"scope": ""}),)), "`scope` must be one word"),
        (
            Server(),
            Trust(issuers=(ISSUER.model_copy(update={"jwks_url": "http://issuer.example.org/keys"}),)),
            "it is not https",
        ),
        (Server(), Trust(issuers=(ISSUER.model_copy(update={"issuer": "utah"}),)), "names no host"),
        (
            Server(),
            Trust(issuers=(ISSUER.model_copy(update={"subjects": {"**": ("*",)}}),)),
            "at most one \\*",
        ),
    ],
)
def test_settings_that_let_everybody_in_are_refused(
    sqlite_database: sa.Engine, server: Server, trust: Trust, sentence: str
) -> None:
    with pytest.raises(BadConfiguration, match=sentence):
        Door(sqlite_database, server, trust)
