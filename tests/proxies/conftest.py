"""One collector with HAProxy and nginx before it, all set up by the samples of the docs, for all who try the proxies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gridkeeper.cli.wiring import wired
from gridkeeper.config import Home
from tests.proxies import deployment
from tests.proxies.certificates import Authority, Certificate
from tests.proxies.deployment import NAMES, Deployment
from tests.proxies.processes import Collecting, free_port, haproxy, nginx, program

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder with a short name, since that of HAProxy's runtime socket must be short."""
    made = Path(tempfile.mkdtemp(prefix="gridkeeper-proxies-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def authority(folder: Path) -> Authority:
    """Who signed the certificates that the proxies and the senders believe."""
    return Authority(folder, "authority")


@pytest.fixture(scope="session")
def server_certificate(authority: Authority) -> Certificate:
    """The collector's, as the outside sees it."""
    return authority.server("collector")


@pytest.fixture(scope="session")
def utah(authority: Authority) -> Certificate:
    """The certificate that the sample of `trust.certificates` names."""
    return authority.client("utah", "US", "University of Utah", "ce.example.edu")


@pytest.fixture(scope="session")
def deployed(folder: Path, authority: Authority, server_certificate: Certificate) -> Iterator[Deployment]:
    for name in NAMES:
        program(name)
    home = Home(folder / "home")
    home.create()
    home.federation.write_text(deployment.FEDERATION, encoding="utf-8")
    home.settings.write_text(deployment.settings(), encoding="utf-8")
    wired(home.path).database()
    port, ports = free_port(), {name: free_port() for name in NAMES}
    for name in NAMES:
        (folder / name).mkdir()
    by_haproxy = deployment.haproxy_configuration(
        folder / "haproxy.socket", ports["haproxy"], (port,), server_certificate, authority
    )
    by_nginx = deployment.nginx_server(ports["nginx"], port, server_certificate, authority)
    with contextlib.ExitStack() as stack:
        collector = Collecting(home.path, port)
        stack.callback(collector.stop)
        collector.be_ready()
        stack.enter_context(haproxy(folder / "haproxy", ports["haproxy"], by_haproxy))
        stack.enter_context(nginx(folder / "nginx", ports["nginx"], by_nginx))
        yield Deployment(collector, ports, authority)


@pytest.fixture(params=NAMES)
def proxy(request: pytest.FixtureRequest, deployed: Deployment) -> str:
    """Each proxy in turn, once the collector behind it is ready."""
    name = str(request.param)
    deployed.wait_until_ready(name)
    return name
