"""The interface's document and what the collector does agree: invented requests to every operation, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from gridkeeper.web.app import make_app
from tests.collectors import collector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.collectors import Collector

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_each_engine")]
DOCUMENT = "/api/v1/openapi.json"
REQUESTS_OF_AN_OPERATION = 40


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Collector]:
    made = collector(tmp_path / "home", federation="resources: [{name: alpha}]\n")
    yield made
    made.close()


def test_no_invented_request_meets_a_fault_or_an_undocumented_answer(gate: Collector) -> None:
    schema = schemathesis.openapi.from_asgi(DOCUMENT, make_app(gate.services))
    headers = {"Authorization": f"Bearer {gate.token(role='operator')}"}
    tried = set()
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        tried.add(operation.path)

        @given(case=operation.as_strategy())
        @settings(
            max_examples=REQUESTS_OF_AN_OPERATION, deadline=None, derandomize=True, database=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def hold(case: Any) -> None:
            checks = schemathesis.checks
            case.call_and_validate(
                headers=headers,
                checks=[
                    checks.not_a_server_error,
                    checks.status_code_conformance,
                    checks.content_type_conformance,
                    checks.response_schema_conformance,
                ],
            )

        hold()
    assert {"/api/v1/batches", "/api/v1/batches/{batch}", "/api/v1/heartbeats", "/api/v1/clock"} <= tried


def test_every_operation_is_described_and_every_body_has_a_schema(gate: Collector) -> None:
    document = gate.client().get(DOCUMENT).json()
    for path, operations in document["paths"].items():
        if path.startswith("/api/v1"):
            for method, operation in operations.items():
                assert operation["description"].strip(), path
                if method == "post":
                    (content,) = operation["requestBody"]["content"].values()
                    assert content["schema"], path
