"""What `python -m demo` understands."""

from pathlib import Path

import pytest

from demo.__main__ import read_options
from demo.launch import Place


def test_without_arguments_all_four_run_on_their_usual_ports() -> None:
    options = read_options([], {})
    assert options.ports == {"petstore": 8083, "vehicles": 8880, "cloudapp": 8099, "ml": 8600}
    assert (options.host, options.place, options.command) == ("127.0.0.1", Place(Path("data/demo")), [])


def test_the_environment_gives_what_no_flag_gives() -> None:
    environment = {"PETSTORE_PORT": "1", "ML_PORT": "2", "DATA_DIR": "d", "POSTGRES_URL": "postgresql://x"}
    options = read_options(["--ml-port", "3", "--only", "petstore", "ml"], environment)
    assert options.ports == {"petstore": 1, "ml": 3}
    assert options.place == Place(Path("d/demo"), "postgresql://x")


def test_everything_after_two_dashes_is_the_command() -> None:
    options = read_options(["--only", "ml", "--", "python", "server.py", "--", "--only"], {})
    assert (list(options.ports), options.command) == (["ml"], ["python", "server.py", "--", "--only"])


@pytest.mark.parametrize(
    "arguments", [["--only", "bank"], ["--ml-port", "many"], ["server.py"], ["--ml-port", "99999"]]
)
def test_what_makes_no_sense_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(arguments, {})
    assert ended.value.code == 2
    assert "usage: python -m demo" in capsys.readouterr().err
