"""An issuer's keys: where they are read, how long they serve, and which of them are no keys to us."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from gridkeeper.settings import Issuer, Trust
from gridkeeper.trust import fetching, key_ring, key_sets
from gridkeeper.trust.key_sets import UnreadableKeys
from gridkeeper.trust.refusals import CannotTell, NotRecognised
from tests.trust.issuing import AUDIENCE, SUBJECT, Answer, IssuerServer, Signer, ec_key, public, rsa_key

if TYPE_CHECKING:
    from pathlib import Path

    from tests.trust.conftest import Collector

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def signer(collector: Collector, issuer: IssuerServer) -> Signer:
    believe(collector, issuer, jwks_url=f"{issuer.address}/keys")
    return Signer(issuer.address, lambda: collector.now)


def believe(collector: Collector, issuer: IssuerServer, **more: Any) -> None:
    known = Issuer(issuer=issuer.address, audience=(AUDIENCE,), subjects={SUBJECT: ("Utah",)}, **more)
    collector.reopen(trust=Trust(issuers=(known,)))


def test_keys_are_read_once_for_hours(collector: Collector, signer: Signer, issuer: IssuerServer) -> None:
    for _ in range(3):
        collector.ask(signer.sign())
        collector.wait(hours=1)
    assert issuer.asked == ["/keys"]
    collector.now += key_ring.KEYS_FRESH
    collector.ask(signer.sign())
    assert issuer.asked == ["/keys", "/keys"]


def test_a_new_key_is_found_when_a_token_names_it(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    collector.ask(signer.sign())
    issuer.publish(public(rsa_key("second"), "two"))
    collector.now += key_ring.ASKED_AGAIN
    assert collector.ask(signer.sign(rsa_key("second"), header={"kid": "two"}))
    with pytest.raises(NotRecognised, match="key 'one', which is not among those of"):
        collector.ask(signer.sign())  # the issuer took it back


def test_unknown_keys_do_not_make_us_ask_more_than_once_a_minute(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    collector.ask(signer.sign())
    for number in range(100):
        with pytest.raises(NotRecognised, match="not among those"):
            collector.ask(signer.sign(rsa_key("mallory"), header={"kid": f"guess-{number}"}))
        collector.wait(seconds=1)
    assert len(issuer.asked) == 2


def test_an_issuer_that_does_not_answer_is_asked_once_a_minute_and_the_sender_told_to_wait(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    issuer.answers["/keys"] = Answer(b"", 503)
    for _ in range(60):
        with pytest.raises(CannotTell, match="/keys answered 503; try again later") as refused:
            collector.ask(signer.sign())
        collector.wait(seconds=1)
    assert refused.value.status == 503
    assert not refused.value.permanent
    assert len(issuer.asked) == 1
    issuer.publish(public(rsa_key(), "one"))
    assert collector.ask(signer.sign())


def test_old_keys_serve_for_a_day_where_the_issuer_is_away(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    collector.ask(signer.sign())
    issuer.answers["/keys"] = Answer(b"", 503)
    collector.now += key_ring.KEYS_KEPT
    assert collector.ask(signer.sign())
    collector.wait(minutes=1)
    with pytest.raises(CannotTell):
        collector.ask(signer.sign())


def test_keys_are_found_by_the_issuers_own_configuration(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    believe(collector, issuer)
    assert collector.ask(signer.sign())
    assert issuer.asked == [DISCOVERY, "/keys"]


class SlowReader:
    """Reads keys when it is told to go on, and counts how often it was asked to."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Event(), threading.Event()
        self.count = 0

    def __call__(self, issuer: Issuer) -> key_sets.KeySet:
        self.count += 1
        self.asked.set()
        assert self.go_on.wait(10)
        return key_sets.read_keys(issuer)


@pytest.mark.usefixtures("signer")
def test_while_one_asks_again_the_others_work_with_the_keys_there_are(collector: Collector) -> None:
    reader = SlowReader()
    ring = key_ring.KeyRing(collector.trust.issuers[0], lambda: collector.now, reader)
    reader.go_on.set()
    ring.find("one", "RS256")
    reader.asked.clear()
    reader.go_on.clear()
    collector.now += key_ring.KEYS_FRESH
    with ThreadPoolExecutor(1) as thread:
        slow = thread.submit(ring.find, "one", "RS256")
        assert reader.asked.wait(10)
        assert ring.find("one", "RS256")
        with pytest.raises(NotRecognised):
            ring.find("two", "RS256")
        assert not slow.done()
        reader.go_on.set()
        assert slow.result()
    assert reader.count == 2


@pytest.mark.usefixtures("signer")
def test_the_first_keys_are_waited_for_and_asked_for_once(collector: Collector) -> None:
    reader = SlowReader()
    ring = key_ring.KeyRing(collector.trust.issuers[0], lambda: collector.now, reader)
    with ThreadPoolExecutor(4) as threads:
        all_of_them = [threads.submit(ring.find, "one", "RS256") for _ in range(4)]
        assert reader.asked.wait(10)
        reader.go_on.set()
        assert all(one.result() for one in all_of_them)
    assert reader.count == 1


@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        ({"issuer": "https://issuer.example.org"}, "does not speak for"),
        ({"jwks_uri": None}, "names no jwks_uri"),
        ({"jwks_uri": "http://issuer.example.org/keys"}, "not https"),
        ({"jwks_uri": "file:///etc/passwd"}, "names no host"),
        ({"jwks_uri": "https://a:b@issuer.example.org/"}, "or a user"),
        ({"jwks_uri": "https://[/"}, "no address"),
    ],
)
def test_a_configuration_that_leads_elsewhere_is_refused(
    collector: Collector, signer: Signer, issuer: IssuerServer, says: dict[str, Any], sentence: str
) -> None:
    issuer.configure(**says)
    believe(collector, issuer)
    with pytest.raises(CannotTell, match=sentence):
        collector.ask(signer.sign())


def test_a_strangers_configuration_does_not_lead_to_this_machine(issuer: IssuerServer) -> None:
    stranger = "https://issuer.example.org"
    says = json.dumps({"issuer": stranger, "jwks_uri": f"{issuer.address}/keys"}).encode()

    def get(url: str, *, loopback_allowed: bool = True) -> bytes:
        return says if url.startswith(stranger) else key_sets.fetch(url, loopback_allowed=loopback_allowed)

    with pytest.raises(UnreadableKeys, match="it is on this machine"):
        key_sets.read_keys(Issuer(issuer=stranger, audience=(AUDIENCE,)), get)
    assert issuer.asked == []


def test_keys_may_stand_in_a_file(
    collector: Collector, signer: Signer, issuer: IssuerServer, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    believe(collector, issuer, jwks_file=file)
    with pytest.raises(CannotTell, match=r"keys\.json cannot be read: No such file"):
        collector.ask(signer.sign())
    file.write_text(json.dumps({"keys": [public(rsa_key(), "one")]}), encoding="utf-8")
    collector.now += key_ring.ASKED_AGAIN
    assert collector.ask(signer.sign())
    file.write_text(json.dumps({"keys": [public(rsa_key("second"), "one")]}), encoding="utf-8")
    collector.now += key_ring.FILE_FRESH
    with pytest.raises(NotRecognised, match="signature"):
        collector.ask(signer.sign())
    assert issuer.asked == []


def test_a_file_too_large_is_no_key_set(
    collector: Collector, signer: Signer, issuer: IssuerServer, tmp_path: Path
) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(b" " * (fetching.ANSWER_BYTES + 1))
    believe(collector, issuer, jwks_file=file)
    with pytest.raises(CannotTell, match="more than 262,144 bytes"):
        collector.ask(signer.sign())


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (Answer(b"", 302, {"Location": "/moved"}), "answered 302"),
        (Answer(b"[" * 100_000), "no JSON"),
        (Answer(b"[]"), "no JSON object"),
        (Answer(b"\xff"), "no JSON"),
        (Answer(b" " * (fetching.ANSWER_BYTES + 1)), "more than 262,144 bytes"),
        (Answer(b"{}"), "the key set is empty"),
        (Answer(b'{"keys": []}'), "the key set is empty"),
        (Answer(b'{"keys": {"one": 1}}'), "the key set is empty"),
        (Answer(b'{"keys": [7, null]}'), "none of its 2 keys can check a signature"),
        (Answer(b"short", 200, {"Content-Length": "10"}), "cannot be read"),
    ],
)
def test_an_answer_that_is_no_key_set_is_refused(
    collector: Collector, signer: Signer, issuer: IssuerServer, answer: Answer, sentence: str
) -> None:
    issuer.answers["/keys"] = answer
    issuer.answers["/moved"] = Answer(json.dumps({"keys": [public(rsa_key(), "one")]}).encode())
    with pytest.raises(CannotTell, match=sentence):
        collector.ask(signer.sign())
    assert issuer.asked == ["/keys"]


def test_an_issuer_that_drips_is_cut_off(
    collector: Collector, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", -1.0)
    with pytest.raises(CannotTell, match="took longer than"):
        collector.ask(signer.sign())


def test_an_issuer_that_is_not_there_is_said_so(
    collector: Collector, signer: Signer, issuer: IssuerServer
) -> None:
    believe(collector, issuer, jwks_url="http://127.0.0.1:9/keys")
    with pytest.raises(CannotTell, match=r"127\.0\.0\.1:9/keys cannot be read"):
        collector.ask(signer.sign())


def _secret(size: int) -> str:
    return base64.urlsafe_b64encode(b"s" * size).rstrip(b"=").decode()


BAD_KEYS: dict[str, dict[str, Any]] = {
    "symmetric": {"kty": "oct", "k": _secret(32), "alg": "HS256"},
    "symmetric and empty": {"kty": "oct", "k": ""},
    "symmetric that says RS256": {"kty": "oct", "k": _secret(32), "alg": "RS256"},
    "RSA for HMAC": {"alg": "HS256"},
    "RSA for nothing": {"alg": "none"},
    "RSA for a list": {"alg": ["RS256"]},
    "with a secret part": {"d": "AQAB"},
    "with a symmetric part": {"k": _secret(32)},
    "for encryption": {"use": "enc"},
    "for signing only": {"key_ops": ["sign"]},
    "without modulus": {"n": ""},
    "with half a number": {"n": 7},
    "of no type": {"kty": None},
    "of an odd type": {"kty": ["RSA"]},
    "without id": {"kid": None},
    "with an empty id": {"kid": ""},
    "with a number as id": {"kid": 1},
    "on an unknown curve": {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
    "off its curve": {"kty": "EC", "crv": "P-256", "x": _secret(32), "y": _secret(32)},
    "on a list of curves": {"kty": "EC", "crv": ["P-256"]},
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_a_bad_key_is_left_out_and_the_others_serve(name: str) -> None:
    bad = public(rsa_key(), "bad") | BAD_KEYS[name]
    good = public(ec_key(), "good")
    assert set(key_sets.parse(json.dumps({"keys": [bad, good]}).encode())) == {"good"}
    with pytest.raises(UnreadableKeys, match="none of its 1 keys"):
        key_sets.parse(json.dumps({"keys": [bad]}).encode())


def test_a_short_key_is_left_out() -> None:
    weak = public(rsa_key("weak", 1024), "weak")
    with pytest.raises(UnreadableKeys, match="none of its 1 keys"):
        key_sets.parse(json.dumps({"keys": [weak]}).encode())


def test_an_id_that_two_keys_share_names_neither() -> None:
    keys = [public(rsa_key(), "one"), public(rsa_key("second"), "one"), public(ec_key(), "good")]
    assert set(key_sets.parse(json.dumps({"keys": keys}).encode())) == {"good"}


def test_a_key_serves_for_what_its_issuer_says() -> None:
    keys = [public(rsa_key(), "any"), public(rsa_key("second"), "one", alg="RS512", key_ops=["verify"])]
    ready = key_sets.parse(json.dumps({"keys": keys}).encode())
    assert {kid: list(algorithms) for kid, algorithms in ready.items()} == {
        "any": ["RS256", "RS384", "RS512"],
        "one": ["RS512"],
    }
