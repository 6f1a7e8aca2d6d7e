"""Sends prepared bodies to a collector from many connections, and times the answers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path


async def _send(
    host: str, port: int, head: bytes, bodies: list[bytes], until: float, good: bytes, times: list[float]
) -> int:
    """One connection: send one body after the other, wait for each answer; how many were answered well."""
    reader, writer = await asyncio.open_connection(host, port)
    done = 0
    while bodies and time.monotonic() < until:
        body = bodies.pop()
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
    bodies = [path.read_bytes() for path in sorted(Path(options.folder).iterdir(), reverse=True)]
    head = (
        f"POST {options.path} HTTP/1.1\r\nHost: {options.host}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: ".encode()
        + b"%d\r\n\r\n"
    )
    times: list[float] = []
    began = time.monotonic()
    counts = await asyncio.gather(
        *(
            _send(
                options.host,
                options.port,
                head,
                bodies,
                began + options.seconds,
                options.good.encode(),
                times,
            )
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
    parser.add_argument("--seconds", type=float, default=3600)
    asyncio.run(_all(parser.parse_args()))


if __name__ == "__main__":
    main()
