"""Whatever bytes a reader meets, it returns or raises a StudyError, and takes no more memory than they are worth."""

import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tools.fuzz import READERS, attempt, main

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 6
MEBIBYTE = 1 << 20
# The reader of gzip is given a limit of its own, and Pillow and NumPy take some memory for anything.
MOST_BYTES = 8 * MEBIBYTE


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("valid") / "file"
    return {name: reader.valid(path) for name, reader in READERS.items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "file"


def bounded_attempt(name: str, data: bytes, path: Path) -> bool:
    """Try the reader, and hold it to the memory."""
    tracemalloc.start()
    try:
        taken = attempt(READERS[name], data, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES
    return taken


@pytest.mark.parametrize("name", READERS)
def test_the_valid_file_is_taken_and_an_empty_one_is_not(name: str, valid: dict[str, bytes], path: Path) -> None:
    """Or the fuzzing would go no further than the first check."""
    assert bounded_attempt(name, valid[name], path)
    assert bounded_attempt(name, b"", path) == (name in ("gzip", "tar"))  # no bytes, and no members


PLACES = st.integers(0, 1 << 20)
VALUES = st.one_of(
    st.integers(0, 255).map(lambda value: bytes([value])),
    st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\x80" + b"\0" * 7, b"\xff" * 8, b"9" * 11]),
    st.binary(min_size=1, max_size=8),
)
CHANGES = st.lists(
    st.tuples(st.sampled_from(["replace", "insert", "delete", "cut", "repeat"]), PLACES, VALUES), max_size=6
)


def spoilt(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """A valid file after some changes at some places."""
    for kind, number, value in changes:
        place = number % (len(data) + 1)
        if kind == "replace":
            data = data[:place] + value + data[place + len(value) :]
        elif kind == "insert":
            data = data[:place] + value + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + len(value) :]
        elif kind == "cut":
            data = data[:place]
        elif len(data) < 1 << 14:
            data += data[place:]
    return data


SETTINGS = settings(
    max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("name", READERS)
@SETTINGS
@given(changes=CHANGES)
def test_a_spoilt_file_is_read_or_refused(
    name: str, changes: list[tuple[str, int, bytes]], valid: dict[str, bytes], path: Path
) -> None:
    bounded_attempt(name, spoilt(valid[name], changes), path)


@pytest.mark.parametrize("name", READERS)
@SETTINGS
@given(data=st.binary(max_size=2048))
def test_random_bytes_are_read_or_refused(name: str, data: bytes, path: Path) -> None:
    bounded_attempt(name, data, path)


# Sizes that are no accident: with one side 0 nothing is missing, however large the others are.
SIDES = st.sampled_from([0, 1, 2, 3, 255, 1 << 16, 1 << 31, (1 << 32) - 1])


@SETTINGS
@given(shape=st.tuples(SIDES, SIDES, SIDES), content=st.binary(max_size=64))
@example(shape=(0, (1 << 32) - 1, (1 << 32) - 1), content=b"")
def test_an_idx_header_may_claim_anything(shape: tuple[int, int, int], content: bytes, path: Path) -> None:
    header = bytes([0, 0, 8, 3]) + b"".join(size.to_bytes(4, "big") for size in shape)
    bounded_attempt("idx", header + content, path)


# The tool


@pytest.mark.parametrize("name", READERS)
def test_the_fuzzer_finds_nothing_in_a_short_time(name: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris, which has no build for every system, is not installed")
    (tmp_path / "temporary").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "tools.fuzz", name, str(SECONDS)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    runs = int(re.search(r"Done (\d+) runs", done.stderr)[1])
    assert runs > 500
    assert "INITED cov: " in done.stderr  # it sees which lines run
    assert not list((tmp_path / "temporary").iterdir())
    assert [found.name for found in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize("arguments", [[], ["tiff"], ["idx", "soon"], ["idx", "-1"], ["idx", "1", "2"]])
def test_the_fuzzer_names_its_readers(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    known = "idx, cifar, jpeg, tar, gzip, prepared"
    assert capsys.readouterr().err == f"usage: python -m tools.fuzz READER [SECONDS], where READER is one of: {known}\n"
