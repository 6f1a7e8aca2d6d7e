"""A deployment as the docs describe it: their samples for the home, for HAProxy and for nginx, on this machine's ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.proxies.asking import ELSEWHERE, Answer, Caller
from tests.proxies.processes import wait_until
from tests.proxies.samples import put, sample
from tests.web.gratia_posts import envelope, post, record
from tests.web.test_batches import sacct

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.proxies.certificates import Certificate
    from tests.proxies.processes import Collecting

NAMES = ("haproxy", "nginx")
READY_WITHIN_S = 60.0
OLD_PROBE = "127.0.0.17"  # the address that the sample of `trust.addresses` names, on this machine
FEDERATION = """\
vos: [{name: cms}]
resources:
  - {name: Utah-Kingspeak, probes: [ce.example.org]}
  - {name: Nebraska, probes: [red.example.org]}
"""
IDLE_S = 2
QUICK = f"\n[intake]\ncommit_seconds = 1\nidle_seconds = {IDLE_S}\nrequests_per_minute = 1000000\n"


def settings() -> str:
    """`gridkeeper.toml` of a home whose collector believes the proxies of this machine, and one old probe's address."""
    certificates = sample("trust.md", "toml", "[trust.certificates]")
    addresses = put(sample("trust.md", "toml", "addresses ="), {"198.51.100.17": OLD_PROBE})
    return certificates + addresses + QUICK


def haproxy_configuration(
    runtime_socket: Path, port: int, collectors: Sequence[int], server: Certificate, authority: Certificate
) -> str:
    """`haproxy.cfg`: the samples of both pages; checks come more often. collectors: the ports of one or two."""
    rest = put(
        sample("operating.md", "haproxy", "backend collectors"),
        {
            "/run/haproxy/admin.sock": runtime_socket,
            "inter 5s": "inter 200ms",
            "10.0.0.11:8080": f"127.0.0.1:{collectors[0]}",
            "10.0.0.12:8080": f"127.0.0.1:{collectors[-1]}",
        },
    )
    frontend = put(
        sample("trust.md", "haproxy", "frontend collector"),
        {
            "bind :443": f"bind 127.0.0.1:{port}",
            "/etc/haproxy/collector.pem": server.both,
            "/etc/grid-security/trusted.pem": authority.certificate,
        },
    )
    return f"{rest}\n{frontend}"


def nginx_server(port: int, collector: int, server: Certificate, authority: Certificate) -> str:
    """The `server` block of nginx."""
    return put(
        sample("trust.md", "nginx", "proxy_pass"),
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/nginx/collector.pem": server.certificate,
            "/etc/nginx/collector.key": server.key,
            "/etc/grid-security/trusted.pem": authority.certificate,
            "http://127.0.0.1:8080": f"http://127.0.0.1:{collector}",
        },
    )


@dataclass
class Deployment:
    """A collector, and the proxies before it. ports: where each proxy listens."""

    collector: Collecting
    ports: Mapping[str, int]
    authority: Certificate

    def caller(self, proxy: str, certificate: Certificate | None = None, address: str = ELSEWHERE) -> Caller:
        """Somebody who asks through a proxy."""
        return Caller(self.ports[proxy], self.authority, certificate, address)

    def wait_until_ready(self, proxy: str) -> None:
        """Wait until the collector is ready, and the proxy knows it."""
        asking = self.caller(proxy)
        wait_until(lambda: asking.get("/readyz").status == 200, READY_WITHIN_S, f"{proxy} is ready")


def native(caller: Caller, resource: str, number: int, headers: Iterable[str] = ()) -> Answer:
    """Send a batch of one job at the native door."""
    path = f"/api/v1/batches?format=sacct&resource={resource}"
    return caller.post(path, sacct(number, cluster=resource), headers)


def gratia(caller: Caller, site: str, probe: str, number: int, headers: Iterable[str] = ()) -> Answer:
    """Post a bundle of one job at the door for Gratia probes."""
    body = post("multiupdate", envelope(record(number, site)), f"condor:{probe}")
    return caller.post("/gratia-servlets/rmi", body, headers)
