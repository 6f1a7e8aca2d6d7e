"""Requests with two ends through a real HAProxy and a real nginx: what hides behind one is never a request of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proxies.processes import wait_until

if TYPE_CHECKING:
    from tests.proxies.certificates import Certificate
    from tests.proxies.deployment import Deployment

pytestmark = pytest.mark.slow
HIDDEN = "DELETE /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
# By its length the hidden request is body; by its chunks, or by another length, it comes after the end.
AFTER_AN_END = f"0\r\n\r\n{HIDDEN}"
LENGTH = len(AFTER_AN_END)
# By its chunks the hidden request is body; by its length it comes after the end.
IN_A_CHUNK = f"{len(HIDDEN):x}\r\n{HIDDEN}\r\n0\r\n\r\n"
SHORT = IN_A_CHUNK.index(HIDDEN)
CHUNKED = {
    "both": "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
    "both, the other way round": "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
    "both, in other cases": "content-length: {}\r\nTRANSFER-ENCODING: CHUNKED\r\n",
    "both, with a tab": "Content-Length: {}\r\nTransfer-Encoding:\tchunked\r\n",
    "both, on several lines": "Content-Length: {}\r\nTransfer-Encoding:\r\n chunked\r\n",
    "both, and more chunks": "Content-Length: {}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
}
OBSCURED = {
    "identity": "Content-Length: {}\r\nTransfer-Encoding: identity\r\n",
    "chunked, then identity": "Content-Length: {}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "an unknown encoding": "Content-Length: {}\r\nTransfer-Encoding: xchunked\r\n",
    "a space before the colon": "Content-Length: {}\r\nTransfer-Encoding : chunked\r\n",
    "a vertical tab": "Content-Length: {}\r\nTransfer-Encoding: \x0bchunked\r\n",
    "underscores": "Content-Length: {}\r\nTransfer_Encoding: chunked\r\n",
    "a bare line feed": "Content-Length: {}\r\nX: y\nTransfer-Encoding: chunked\r\n",
    "a bare carriage return": "Content-Length: {}\r\nX: y\rTransfer-Encoding: chunked\r\n",
    "two lengths": "Content-Length: {}\r\nContent-Length: 5\r\n",
    "two lengths, the other way round": "Content-Length: 5\r\nContent-Length: {}\r\n",
    "two lengths in one line": "Content-Length: {}, 5\r\n",
    "a length with a sign": "Content-Length: +{}\r\n",
}
CASES = {
    **{f"{name} (after)": lengths.format(LENGTH) + "\r\n" + AFTER_AN_END for name, lengths in (CHUNKED | OBSCURED).items()},
    **{f"{name} (inside)": lengths.format(SHORT) + "\r\n" + IN_A_CHUNK for name, lengths in CHUNKED.items()},
}  # fmt: skip


def answered(deployed: Deployment, **what: str) -> int:
    """How many requests of a kind the collector answered."""
    told = deployed.collector.events("answered")
    return sum(all(line[name] == value for name, value in what.items()) for line in told)


@pytest.mark.parametrize("request_text", CASES.values(), ids=CASES.keys())
def test_a_request_with_two_ends_is_one_request_at_most(
    deployed: Deployment, proxy: str, request_text: str, utah: Certificate
) -> None:
    alice = deployed.caller(proxy, utah)
    head = "POST /gratia-servlets/rmi HTTP/1.1\r\nHost: x\r\n"
    answers = alice.say((head + request_text).encode("latin-1"), silence_s=1)
    assert answers.count(b"HTTP/1.") == 1
    assert not answers.endswith(b"OK")
    # Whoever comes next gets the answer to its own question; when that is logged, so is all that came before.
    asked = answered(deployed, path="/healthz")
    assert alice.get("/healthz").text == '{"state":"alive"}'
    wait_until(lambda: answered(deployed, path="/healthz") > asked, 10, "the next request is logged")
    assert answered(deployed, method="DELETE") == 0


def test_two_requests_that_a_client_means_are_two(deployed: Deployment, proxy: str) -> None:
    """So that the above would see a hidden one."""
    before = answered(deployed, method="GET", path="other")
    seen = deployed.caller(proxy).say(HIDDEN.replace("DELETE", "GET").encode() * 2, silence_s=1)
    assert seen.count(b"HTTP/1.1 404") == 2
    wait_until(
        lambda: answered(deployed, method="GET", path="other") == before + 2, 10, "two requests are logged"
    )
