"""Invented documents of GOCDB and CRIC: sites, services, pages; and homes that hold them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gridkeeper.config import Home
from tests.federation.invented_topology import put

if TYPE_CHECKING:
    from pathlib import Path


def site(name: str, **said: str) -> str:
    """A site as get_site gives it; said: tags by name in small letters, "" leaves one out."""
    tags = {
        "short_name": name, "official_name": f"University of {name}", "site_description": f"The cluster of {name}; ask alice@example.org",
        "home_url": f"https://{name.lower()}.example.org", "contact_email": "bob@example.org", "contact_tel": "+1 555 0100",
        "country_code": "XX", "country": "Exampleland", "roc": "NGI_EX", "production_infrastructure": "Production",
        "certification_status": "Certified", "timezone": "Europe/Berlin", "latitude": "50.5", "longitude": "8.25", **said,
    }  # fmt: skip
    body = "".join(f"\n    <{tag.upper()}>{text}</{tag.upper()}>" for tag, text in tags.items() if text)
    scopes = "\n    <SCOPES><SCOPE>wlcg</SCOPE><SCOPE>EGI</SCOPE></SCOPES>"
    return f'  <SITE ID="7" PRIMARY_KEY="7G0" NAME="{name}">{body}{scopes}\n  </SITE>\n'


def service(site_name: str, host: str, kind: str = "org.opensciencegrid.htcondorce", **said: str) -> str:
    """A service as get_service_endpoint gives it."""
    tags = {
        "hostname": host, "hostdn": f"/DC=org/DC=example/CN={host}", "service_type": kind, "in_production": "Y", "beta": "N",
        "sitename": site_name, "roc_name": "NGI_EX", "country_name": "Exampleland", **said,
    }  # fmt: skip
    body = "".join(f"\n    <{tag.upper()}>{text}</{tag.upper()}>" for tag, text in tags.items() if text)
    scopes = "\n    <SCOPES><SCOPE>EGI</SCOPE><SCOPE>atlas</SCOPE></SCOPES>"
    return f'  <SERVICE_ENDPOINT PRIMARY_KEY="{host}-{kind}">{body}{scopes}\n  </SERVICE_ENDPOINT>\n'


def results(*entries: str, before: str = "") -> str:
    """A document of these entries."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<results>\n{before}{"".join(entries)}</results>\n'


SITES = results(site("EX-ALPHA"), site("EX-BETA", certification_status="Suspended", official_name=""))
SERVICES = results(
    service("EX-ALPHA", "CE1.alpha.example.org"),
    service("EX-ALPHA", "ce1.alpha.example.org", "gLite-APEL", in_production="N"),
    service("EX-ALPHA", "ce2.alpha.example.org", "ARC-CE"),
    service("EX-ALPHA", "se.alpha.example.org", "SRM", in_production="N"),
    service("EX-BETA", "ce.beta.example.org"),
)
GOCDB = {"gocdb/sites.xml": SITES, "gocdb/services.xml": SERVICES}

RCSITES: dict[str, dict[str, Any]] = {
    "EX-GAMMA": {
        "name": "EX-GAMMA", "state": "ACTIVE", "country": "Exampleland", "federations": ["EX-T2", "EX-LAB"], "rc_tier_level": 2,
        "infrastructure": "EGI", "latitude": 50.5, "longitude": 8.25, "description": "ask carol@example.org", "contact_email": "carol@example.org",
    },
    "EX-DELTA": {"name": "EX-DELTA", "state": "DISABLED", "country": "Exampleland"},
}  # fmt: skip
CRIC_SERVICES: dict[str, dict[str, Any]] = {
    "EX-GAMMA-CE-1": {
        "name": "EX-GAMMA-CE-1", "type": "CE", "flavour": "HTCONDOR-CE", "endpoint": "ce1.gamma.example.org:9619", "rcsite": "EX-GAMMA",
        "state": "ACTIVE", "status": "production",
    },
    "EX-GAMMA-SE": {
        "name": "EX-GAMMA-SE", "type": "SE", "flavour": "", "endpoint": "", "rcsite": "EX-GAMMA", "state": "DISABLED",
        "protocols": {"davs": {"endpoint": "davs://SE.gamma.example.org:443/webdav"}},
    },
    "EX-DELTA-CE": {"name": "EX-DELTA-CE", "type": "CE", "endpoint": "https://ce.delta.example.org/arex", "rc_site": "EX-DELTA"},
}  # fmt: skip


def as_cric(entries: Any) -> str:
    """A document of CRIC, a line for each key."""
    return json.dumps(entries, indent=1)


CRIC = {"cric/rcsites.json": as_cric(RCSITES), "cric/services.json": as_cric(CRIC_SERVICES)}


def home(folder: Path, *documents: dict[str, str], federation: str = "") -> Home:
    """A home with these documents."""
    made = Home(folder)
    made.create()
    made.federation.write_text(federation, encoding="utf-8")
    for files in documents:
        put(folder, files)
    return made
