"""Arrays in one .npz file whose bytes depend on the arrays alone.

`numpy.savez` streams members whose size it doesn't know, and what zip headers that needs has changed between patch
releases of Python: the same arrays gave other bytes, and DVC would have retrained everything on another machine.
"""

import io
import zipfile
from pathlib import Path

import numpy as np

from stages.common.files import whole_file

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file can hold, as good as none


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays, uncompressed and in the order given, for `numpy.load` to read; no pickles."""
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
            header = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            header.create_system = 3  # Unix, wherever it is written
            archive.writestr(header, member.getvalue())
