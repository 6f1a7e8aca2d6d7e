"""What an operator writes wrongly in `gridkeeper.toml` is answered with a sentence and an exit code, never a traceback."""

from __future__ import annotations

import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from gridkeeper.cli.app import main
from gridkeeper.cli.serving import server_config
from gridkeeper.config import Home
from gridkeeper.database import DatabaseRefuses, DatabaseUnavailable, open_database, reading, url_of, writing
from gridkeeper.errors import BadConfiguration
from gridkeeper.migrations import migrate
from gridkeeper.settings import read_settings
from tests.collectors import collector
from tests.databases import POSTGRESQL, postgresql_schema
from tests.probes.test_tls import certificate

MISTAKE, RETRY = 2, 3


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


class Operator:
    """Types a command and reads what it complains of."""

    def __init__(
        self, home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.home, self._capsys, self._monkeypatch = home, capsys, monkeypatch

    def types(self, *words: str) -> tuple[int, str]:
        """Returns: the exit code, and what was said on stderr."""
        self._monkeypatch.setattr(sys, "argv", ["gridkeeper", "--home", str(self.home.path), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), self._capsys.readouterr().err


@pytest.fixture
def carol(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(home, capsys, monkeypatch)


def settings(home: Home, text: str) -> None:
    home.settings.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql://carol:s3cret@127.0.0.1:54x2/books",
            "the port is no number from 1 to 65535; write postgresql://",
        ),
        (
            "postgresql://carol:s3cret@127.0.0.1:99999/books",
            "the port is no number from 1 to 65535; write postgresql://",
        ),
        (
            "mysql://carol:s3cret@127.0.0.1/books",
            "it names mysql, where SQLite and PostgreSQL are understood; write postgresql://",
        ),
        (
            "postgres://carol:s3cret@127.0.0.1/books",
            "it names postgres, where SQLite and PostgreSQL are understood; write postgresql://",
        ),
        (
            "postgresql+asyncpg://carol:s3cret@h/books",
            "it names postgresql+asyncpg, where",
        ),
        ("carol s3cret", "it names no kind of database, where"),
    ],
)
def test_an_address_that_names_no_database_we_know_is_told_with_its_place_and_without_its_password(
    home: Home, carol: Operator, url: str, sentence: str
) -> None:
    settings(home, f'[database]\nurl = "{url}"\n')
    code, said = carol.types("token", "list")
    assert code == MISTAKE
    assert f"{home.settings}: database.url: " in said
    assert sentence in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("/test", "/no_such_books", "the database no_such_books at 127.0.0.1 cannot be read: "),
        ("postgres@", "no_such_carol:s3cret@", 'role "no_such_carol" does not exist'),
        ("/test", "/test?nonsense=1", 'invalid connection option "nonsense"'),
    ],
)
def test_a_database_that_is_not_there_is_a_mistake_and_not_tried_again(
    home: Home, carol: Operator, before: str, after: str, sentence: str
) -> None:
    with postgresql_schema():
        settings(home, f'[database]\nurl = "{POSTGRESQL.replace(before, after)}"\n')
        code, said = carol.types("token", "list")
    assert code == MISTAKE
    assert sentence in said
    assert "create what it names, or mend url under [database] in gridkeeper.toml" in said
    assert "s3cret" not in said


def test_a_database_that_does_not_answer_is_tried_again(home: Home, carol: Operator) -> None:
    settings(home, '[database]\nurl = "postgresql://carol@127.0.0.1:9/books"\n')
    code, said = carol.types("token", "list")
    assert (code, "try again" in said) == (RETRY, True)


def test_a_user_of_postgresql_that_may_not_make_tables_is_told_what_to_grant() -> None:
    role = f"carol_{secrets.token_hex(4)}"
    with postgresql_schema() as url, psycopg.connect(POSTGRESQL, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        schema = url.rpartition("%3D")[2]
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        engine = open_database(url.replace("postgres@", f"{role}@"))
        try:
            with pytest.raises(
                DatabaseRefuses, match=r"permission denied for schema .*; let its user create"
            ):
                migrate(engine)
        finally:
            engine.dispose()
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_a_file_that_is_no_database_is_told(home: Home, carol: Operator) -> None:
    home.database.write_text("these are carol's notes, and no database at all\n" * 100)
    code, said = carol.types("quarantine", "list")
    assert code == MISTAKE
    assert "gridkeeper.db cannot be read: file is not a database; put it back from a backup" in said


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    engine = open_database(url_of(tmp_path / "gridkeeper.db"))
    migrate(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatabaseRefuses, match="brought to step 9999 by a newer Gridkeeper"):
        migrate(engine)
    engine.dispose()


def test_a_fault_of_ours_is_not_called_a_database_that_is_away(tmp_path: Path) -> None:
    engine = open_database(url_of(tmp_path / "gridkeeper.db"))
    migrate(engine)
    with pytest.raises(Exception, match="UNIQUE") as met, writing(engine) as connection:
        for _ in range(2):
            connection.exec_driver_sql("INSERT INTO loader_counters VALUES ('a', 'b', 1)")
    assert not isinstance(met.value, DatabaseUnavailable)
    engine.dispose()


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ('tls_certificate = "nowhere.pem"', "server.tls_certificate: {home}/nowhere.pem cannot be read: No such file or directory; name a PEM file"),
        ('tls_certificate = "collector.pem"\ntls_key = "/nowhere/key.pem"', "server.tls_key: /nowhere/key.pem cannot be read: No such file"),
        ('tls_key = "collector.pem"', "server.tls_certificate is not there beside server.tls_key"),
        ('tls_certificate = "federation.yaml"', "federation.yaml with the key in {home}/federation.yaml cannot be used: "),
        ('tls_certificate = "ca.pem"', "cannot be used: "),
    ],
)  # fmt: skip
def test_a_certificate_that_cannot_be_used_is_told_before_anything_listens(
    home: Home, lines: str, sentence: str
) -> None:
    certificate(home.path)
    settings(home, f"[server]\n{lines}\n")
    made = collector(home.path)
    services = replace(made.services, settings=made.place.settings)
    with pytest.raises(BadConfiguration) as met:
        server_config(services, None, 0)
    made.close()
    assert sentence.format(home=home.path) in str(met.value)


def test_a_server_whose_certificate_is_missing_ends_with_a_sentence(home: Home, tmp_path: Path) -> None:
    settings(home, '[server]\nport = 0\ntls_certificate = "nowhere.pem"\n')
    words = [sys.executable, "-m", "gridkeeper", "--home", str(home.path), "collect"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == MISTAKE
    assert "Traceback" not in done.stderr
    assert f"server.tls_certificate: {home.path}/nowhere.pem cannot be read" in done.stderr
    assert "listening" not in done.stderr


def test_a_file_named_without_its_whole_path_is_one_of_the_home_wherever_one_stands(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(
        home,
        '[server]\ntls_certificate = "tls/chain.pem"\ntls_key = "/etc/key.pem"\n'
        '[[trust.issuers]]\nissuer = "https://cms-auth.example.org"\naudience = ["a"]\njwks_file = "cms.jwks"\n'
        '[[schedule]]\nname = "weekly"\nreport = "production"\nperiod = "week"\ndirectory = "www"\n',
    )
    monkeypatch.chdir(tmp_path)
    read = read_settings(Path("home") / "gridkeeper.toml")
    assert read.server.tls_certificate == home.path / "tls" / "chain.pem"
    assert read.server.tls_key == Path("/etc/key.pem")
    assert read.trust.issuers[0].jwks_file == home.path / "cms.jwks"
    assert read.schedule[0].directory == home.path / "www"


def test_texts_that_a_database_does_not_take_are_kept_in_letters_that_it_does(tmp_path: Path) -> None:
    engine = open_database(url_of(tmp_path / "gridkeeper.db"))
    migrate(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO loader_counters VALUES (?, ?, 1)", ("a\0b", "Zürich \udcff"))
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT name, label FROM loader_counters").all() == [
            ("a\N{REPLACEMENT CHARACTER}b", "Zürich \\udcff")
        ]
    engine.dispose()
