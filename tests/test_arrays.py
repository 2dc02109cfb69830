"""The same arrays give the same bytes, known in advance: no clock, no platform, no release of Python shows in them."""

import hashlib
import zipfile

import numpy as np

from stages.common.arrays import write_arrays


def test_arrays_come_back_and_their_bytes_are_fixed(tmp_path):
    arrays = {"b": np.arange(6, dtype=np.uint8).reshape(2, 3), "a": np.array(["coat", "bag"]), "c": np.zeros((0, 2))}
    write_arrays(tmp_path / "x.npz", arrays)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as loaded:
        assert loaded.files == ["b", "a", "c"]
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype
    digest = hashlib.sha256((tmp_path / "x.npz").read_bytes()).hexdigest()
    assert digest == "928809a41a15918425f008cc680fe445013b3c13fb7a9b6abc4eae79882ae348"


def test_members_carry_no_sizes_to_be_filled_in_later(tmp_path):
    """Streamed members have headers that differ between releases of Python; these are written whole."""
    write_arrays(tmp_path / "x.npz", {"a": np.arange(3)})
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        (member,) = archive.infolist()
    assert (member.date_time, member.extra, member.flag_bits & 8) == ((1980, 1, 1, 0, 0, 0), b"", 0)
