"""Sends prepared bodies to a collector from many connections, and times the answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# Begins the ids of bodies that are sent several times, all of them; each time another number takes its place.
NUMBER = b"88880"
FIRST = int(NUMBER) * 100_000
MOST_RECORDS = 100_000


def _in_turn(bodies: Sequence[bytes], rounds: int) -> Iterator[bytes]:
    """Every body once a round, with ids of its own in each."""
    for number in range(rounds):
        for body in bodies:
            yield body if rounds == 1 else body.replace(NUMBER, b"%05d" % (10_000 + number))


class _Pace:
    """Lets so many bodies a second go; 0: as many as can."""

    def __init__(self, per_second: float) -> None:
        self._per_second, self._began, self._gone = per_second, time.monotonic(), 0

    async def wait(self) -> None:
        self._gone += 1
        if self._per_second:
            await asyncio.sleep(max(0.0, self._began + self._gone / self._per_second - time.monotonic()))


async def _send(
    host: str, port: int, head: bytes, bodies: Iterator[bytes], pace: _Pace, good: bytes, times: list[float]
) -> int:
    """One connection: send one body after the other, wait for each answer; how many were answered well."""
    reader, writer = await asyncio.open_connection(host, port)
    done = 0
    for body in bodies:
        await pace.wait()
        began = time.perf_counter()
        writer.write(head % len(body) + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        content = await reader.readexactly(length)
        times.append(time.perf_counter() - began)
        if good not in answer[:16] + content:
            raise RuntimeError(f"{answer[:100]!r} {content[:200]!r}")
        done += 1
    writer.close()
    return done


async def _all(options: argparse.Namespace) -> None:
    bodies = [path.read_bytes() for path in sorted(Path(options.folder).iterdir())]
    in_turn, pace = _in_turn(bodies, options.rounds), _Pace(options.per_second)
    head = (
        f"POST {options.path} HTTP/1.1\r\nHost: {options.host}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: ".encode()
        + b"%d\r\n\r\n"
    )
    times: list[float] = []
    began = time.monotonic()
    counts = await asyncio.gather(
        *(
            _send(options.host, options.port, head, in_turn, pace, options.good.encode(), times)
            for _ in range(options.connections)
        )
    )
    times.sort()
    seconds = time.monotonic() - began
    said = {
        "bodies": sum(counts), "seconds": seconds, "p50_ms": times[len(times) // 2] * 1000, "p99_ms": times[int(len(times) * 0.99)] * 1000,
    }  # fmt: skip
    json.dump(said, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="one file a body")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--good", required=True, help="what a good answer holds")
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument(
        "--rounds", type=int, default=1, help="how often each body is sent, with other ids each time"
    )
    parser.add_argument(
        "--per-second", type=float, default=0, help="how many bodies a second; 0: all at once"
    )
    asyncio.run(_all(parser.parse_args()))


if __name__ == "__main__":
    main()
