"""Tells the vocabularies of usage records in XML apart: Gratia's, OGF's own, and EMI's CAR.

They share most names of elements, so that the namespace decides: the first of theirs that a source declares.
"""

from __future__ import annotations

import re

GRATIA, OGF, CAR = "gratia", "ogf", "car"
# OGF's of the record 1.0 is .../2003/09/urf; later ones differ in the date. Gratia's is of a draft.
_NAMESPACE = re.compile(
    rb"\sxmlns(?::[\w.-]+)?\s*=\s*[\"']\s*http://(?:"
    rb"(?P<ogf>schema\.ogf\.org/urf/)"
    rb"|(?P<car>eu-emi\.eu/namespaces/2012/11/(?:aggregated)?computerecord)"
    rb"|(?P<gratia>www\.gridforum\.org/2003/ur-wg)"
    rb")"
)
_ENVELOPE_OF_GRATIA = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?RecordEnvelope[\s/>]")
# Nothing but OGF's record 2.0 has these blocks, and nothing but CAR these sums.
_TELLING = re.compile(
    rb"<(?:[A-Za-z_][\w.-]*:)?(?:(?P<ogf>ComputeUsageBlock|JobUsageBlock)|(?P<car>SummaryRecords?))[\s/>]"
)


def vocabulary(head: bytes) -> str:
    """Say whose usage records a source of XML holds that begins with `head`; Gratia's where nothing tells."""
    if _ENVELOPE_OF_GRATIA.search(head):
        return GRATIA
    found = _NAMESPACE.search(head) or _TELLING.search(head)
    return found.lastgroup or GRATIA if found is not None else GRATIA
