"""`gridkeeper usage`: what cannot be answered is refused in a sentence, and an empty answer says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from gridkeeper.cli.app import app
from gridkeeper.errors import UserMistake
from tests.homes import InventedHome, at, every_day

if TYPE_CHECKING:
    from typer.testing import Result

TRANSFERS = Path(__file__).parents[1] / "data/formats/gratia-xml/transfers/input.xml"
FEDERATION = """
federation: {name: Consortium, grid: OSG, week_start: tuesday}
mapping:
  - {when: {account: cms}, vo: cms}
  - {when: {account: atlas}, vo: atlas}
  - {when: {account: local}, vo: "physics, chemistry", grid: Local}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> InventedHome:
    made = InventedHome(tmp_path_factory.mktemp("usage") / "home", FEDERATION)
    for number, account in enumerate(("cms", "atlas", "local")):
        made.slurm(
            "kingspeak", every_day("2017-01-30", "2017-02-07", number=100 * number, hours=2, account=account)
        )
    made.books()
    return made


def ask(home: InventedHome, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["usage", "--home", str(home.home.path), *arguments])


def rows(home: InventedHome, *arguments: str) -> list[dict[str, Any]]:
    outcome = ask(home, *arguments, "--format", "json")
    assert outcome.exit_code == 0, outcome.output
    found: list[dict[str, Any]] = json.loads(outcome.stdout)
    return found


def refused(home: InventedHome, *arguments: str) -> str:
    outcome = ask(home, *arguments)
    assert isinstance(outcome.exception, UserMistake), outcome.output
    return str(outcome.exception)


@pytest.mark.parametrize(
    "where, vos",
    [
        (["vo=cms,atlas"], ["atlas", "cms"]),
        (["vo=cms", "vo=atlas"], ["atlas", "cms"]),
        (['vo="physics, chemistry",cms'], ["cms", "physics, chemistry"]),
        (["vo=cms, atlas", "week=2017-01-31"], ["atlas", "cms"]),
        (["vo=cms", "vo=cms"], ["cms"]),
    ],
)
def test_several_values_of_one_dimension_are_either(
    home: InventedHome, where: list[str], vos: list[str]
) -> None:
    options = [part for condition in where for part in ("--where", condition)]
    assert [row["vo"] for row in rows(home, *options)] == vos


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--where", "processors=eight"], "processors=eight is no whole number"),
        (["--where", "week=2017-01-30"], "weeks begin on Tuesday here; that day lies in week=2017-01-24"),
        (["--where", "day=2017-02-30"], "'2017-02-30' is no day"),
        (["--where", "foo=bar"], "--where knows no dimension 'foo'; there are: day, week"),
        (["--where", 'vo="cms'], "stands in double quotes"),
        (["--by", "foo"], "--by knows no dimension 'foo'"),
        (["--measure", ""], "--measure names no measure; there are: jobs"),
        (["--measure", "jobs,jobs"], "the measure jobs is named twice"),
        (["--measure", "transfers,jobs,bytes"], "transfers are no jobs: transfers, bytes cannot stand beside jobs"),
        (["--measure", "transfers", "--by", "queue"], "transfers are not known by queue; their dimensions are: day"),
        (["--measure", "bytes", "--attribution", "overlap"], "on the day they began"),
        (["--measure", "bytes", "--count-level", "payload"], "neither batch jobs nor payloads"),
        (["--by", "transfer_protocol"], "said of transfers only; ask for --measure transfers,bytes"),
    ],
)  # fmt: skip
def test_what_can_never_be_answered_is_refused(
    home: InventedHome, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(home, *arguments)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--where", "vo=atls"], "no record has the vo 'atls'; there are atlas, cms, physics, chemistry"),
        (["--where", "resource=kingspaek", "--where", "vo=cms"], "no record has the resource 'kingspaek'; there are kingspeak"),
        (["--where", "queue=", "--where", "vo=cms"], "no record fits all of this at once"),
        (["--where", "gpu_model=a100"], "no record has the gpu model 'a100'; no record names a gpu model at all"),
        (["--grid", "nogrid"], "no record has the grid 'nogrid'; there are Local, OSG"),
        (["--first", "2016-01-01", "--until", "2016-02-01"], "there are no records of January 2016; there are records of 2017-01-30 to 2017-02-06"),
    ],
)  # fmt: skip
def test_an_empty_answer_says_why_on_standard_error(
    home: InventedHome, arguments: list[str], sentence: str
) -> None:
    outcome = ask(home, *arguments, "--format", "json")
    assert outcome.exit_code == 0
    assert json.loads(outcome.stdout) == []
    assert sentence in outcome.stderr


def test_a_value_nobody_has_is_named_beside_those_that_somebody_has(home: InventedHome) -> None:
    outcome = ask(home, "--where", "vo=cms,atls", "--format", "csv")
    assert outcome.stdout.splitlines()[1].startswith("cms,")
    assert "'atls'" in outcome.stderr


def test_an_empty_home_says_that_it_is_empty(tmp_path: Path) -> None:
    outcome = ask(InventedHome(tmp_path / "home"))
    assert "holds no records of jobs yet" in outcome.stderr


def test_the_footnote_says_which_grids_the_numbers_are_of(home: InventedHome, tmp_path: Path) -> None:
    assert "grid: any (none of these resources is in federation.yaml)" in ask(home).stderr
    registered = FEDERATION + "resources: [{name: kingspeak, site: Utah}]\n"
    made = InventedHome(tmp_path / "home", registered)
    made.slurm("kingspeak", every_day("2017-01-30", "2017-02-07", number=1, account="cms"))
    made.slurm("kingspeak", every_day("2017-01-30", "2017-02-07", number=100, account="local"))
    told = ask(made).stderr
    assert "grid: OSG, without Local;" in told
    assert "left out: Local with 8.0 core hours" in told
    made.slurm("ember", every_day("2017-01-30", "2017-02-07", number=1, account="cms"))
    assert (
        "grid: OSG, without Local; any at resources that federation.yaml does not name;" in ask(made).stderr
    )


def test_usage_of_which_nothing_says_the_grid_is_left_out_aloud(tmp_path: Path) -> None:
    made = InventedHome(tmp_path / "home", "resources: [{name: ce, site: Utah}]\n")
    path = tmp_path / "more.txt"
    made.slurm("ce", every_day("2017-01-30", "2017-02-07", number=1, hours=2))
    path.write_text(
        "JobID|JobIDRaw|Cluster|Partition|Account|Group|User|Submit|Start|End|ElapsedRaw|TotalCPU|ExitCode|State|NNodes|NCPUS\n"
        "50|50|ce|batch|cms|cms|alice|2017-02-07T00:00:00|2017-02-07T00:00:00|2017-02-07T04:00:00|14400|04:00:00|0:0|COMPLETED|1|1\n"
    )
    loaded = CliRunner().invoke(app, ["load", "--home", str(made.home.path), "--json", str(path)])
    (warning,) = json.loads(loaded.stdout)["warnings"]
    assert "20.0 core hours are in no report: the registry has ce" in warning
    assert "`grid:`" in warning
    again = CliRunner().invoke(app, ["load", "--home", str(made.home.path), "--json", str(path)])
    assert json.loads(again.stdout)["warnings"] == []
    outcome = ask(made, "--format", "json")
    assert json.loads(outcome.stdout) == []
    assert "20.0 core hours are left out" in outcome.stderr
    assert rows(made, "--grid", "any", "--measure", "core_hours") == [{"vo": None, "core_hours": 20.0}]
    assert "in no report" in CliRunner().invoke(app, ["probes", "--home", str(made.home.path)]).stderr


def test_parquet_has_the_same_types_whatever_the_answer_holds(home: InventedHome, tmp_path: Path) -> None:
    by, measures = "vo,user,day,week,month", "jobs,core_hours,efficiency,failed_jobs"
    schemas = []
    for number, vo in enumerate(("cms", "nobody")):
        file = tmp_path / f"{number}.parquet"
        assert ask(home, "--by", by, "--measure", measures, "--where", f"vo={vo}", "--format", "parquet", "-o", str(file)).exit_code == 0  # fmt: skip
        schemas.append(pq.read_schema(file))
    assert schemas[0].equals(schemas[1])
    day, text = pa.date32(), pa.string()
    assert schemas[0].types == [
        text,
        text,
        day,
        day,
        text,
        pa.int64(),
        pa.float64(),
        pa.float64(),
        pa.int64(),
    ]


@pytest.mark.parametrize("shape", ["table", "csv", "json", "parquet"])
def test_a_file_that_cannot_be_written_is_a_sentence(home: InventedHome, tmp_path: Path, shape: str) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "x.csv"):
        assert "cannot be written" in refused(home, "--format", shape, "-o", str(place))


def test_transfers_are_counted_on_the_day_they_began(tmp_path: Path) -> None:
    made = InventedHome(tmp_path / "home")
    loaded = CliRunner().invoke(app, ["load", "--home", str(made.home.path), str(TRANSFERS)])
    assert loaded.exit_code == 0
    (row,) = rows(made, "--by", "vo,day,transfer_protocol", "--measure", "transfers,bytes,records")
    assert row == {"vo": "physics", "day": "2025-03-01", "transfer_protocol": "gsiftp", "transfers": 7, "bytes": 1_201_395_477, "records": 7}  # fmt: skip
    ways = [rows(made, "--measure", "transfers", "--where", f"transfer_is_write={way}") for way in ("true", "false", "")]  # fmt: skip
    assert [found[0]["transfers"] for found in ways] == [4, 2, 1]
    assert "attribution: start" in ask(made, "--measure", "transfers").stderr


def test_what_is_not_known_is_no_zero(tmp_path: Path) -> None:
    made = InventedHome(tmp_path / "home")
    unmeasured = every_day("2017-02-01", "2017-02-02", number=1)
    made.slurm("kingspeak", [type(job)(job.number, job.end, cpu=None) for job in unmeasured])
    (row,) = rows(made, "--measure", "cpu_hours,efficiency,energy_kwh,jobs,failed_jobs")
    assert row == {"vo": None, "cpu_hours": None, "efficiency": None, "energy_kwh": None, "jobs": 1, "failed_jobs": 0}  # fmt: skip
    assert at("2017-02-01T12:00") == unmeasured[0].end
