"""Asks pages at a steady pace from several kept connections, and times the answers from the moment each was due."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from itertools import cycle

PATIENCE_S = 30.0


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, path: str) -> int:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n".encode())
    await writer.drain()
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)).lower()
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")
    )
    await asyncio.wait_for(reader.readexactly(length), PATIENCE_S)
    return int(head.split(b" ", 2)[1])


async def _all(options: argparse.Namespace) -> None:
    """As many connections as are needed: one that is busy when a request is due does not hold it up."""
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    times: list[float] = []
    errors = 0

    async def one(path: str, due: float) -> None:
        nonlocal errors
        try:
            reader, writer = idle.pop() if idle else await asyncio.open_connection(options.host, options.port)
            status = await _ask(reader, writer, options.host, path)
            idle.append((reader, writer))
            errors += status != 200
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            errors += 1
        times.append(time.monotonic() - due)

    began = time.monotonic()
    tasks = []
    paths = cycle(options.paths)
    for number in range(int(options.seconds * options.per_second)):
        due = began + number / options.per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(next(paths), due)))
    await asyncio.gather(*tasks)
    times.sort()
    said = {
        "requests": len(times), "errors": errors, "p50_ms": times[len(times) // 2] * 1000, "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "most_ms": times[-1] * 1000, "connections": len(idle),
    }  # fmt: skip
    json.dump(said, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--per-second", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    asyncio.run(_all(parser.parse_args()))


if __name__ == "__main__":
    main()
