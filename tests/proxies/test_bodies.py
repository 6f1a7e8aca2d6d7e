"""Large, long and slow bodies through a real HAProxy and a real nginx: the collector's own answer reaches the sender."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.proxies.asking import Answer, read_answer
from tests.proxies.deployment import IDLE_S
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from tests.proxies.certificates import Certificate
    from tests.proxies.deployment import Deployment

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
TOO_LARGE = "Error: java.lang.IllegalStateException: Post too large"
BATCH = "/api/v1/batches?format=sacct&resource=Utah-Kingspeak"


def test_a_gratia_probe_learns_that_its_post_is_too_large(
    deployed: Deployment, proxy: str, utah: Certificate
) -> None:
    alice = deployed.caller(proxy, utah)
    body = b"command=multiupdate&arg1=" + b"a" * (9 * MIB)
    assert alice.post("/gratia-servlets/rmi", body) == Answer(413, TOO_LARGE)


def test_a_batch_of_many_megabytes_comes_in(deployed: Deployment, proxy: str, utah: Certificate) -> None:
    body = sacct(100) + b"\n" * (20 * MIB)
    taken = deployed.caller(proxy, utah).post(BATCH, body)
    assert taken.status == 202, taken.text
    assert json.loads(taken.text)["bytes"] == len(body)


def test_a_batch_in_chunks_comes_in(deployed: Deployment, proxy: str, utah: Certificate) -> None:
    piece = sacct(101)
    head = f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"%x\r\n%b\r\n" % (len(piece), piece) + b"100000\r\n" + b"\n" * MIB + b"\r\n0\r\n\r\n"
    taken = read_answer(deployed.caller(proxy, utah).say(head.encode() + chunks))
    assert taken.status == 202, taken.text
    assert json.loads(taken.text)["bytes"] == len(piece) + MIB


def test_a_sender_that_stops_in_the_middle_is_answered_soon(
    deployed: Deployment, proxy: str, utah: Certificate
) -> None:
    head = f"POST {BATCH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nJobID"
    told = read_answer(deployed.caller(proxy, utah).say(head.encode(), silence_s=IDLE_S + 5))
    assert told.status == 408
    assert told.error == "the sender was too slow; nothing of the batch was kept"
