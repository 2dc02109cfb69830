"""The stages of the study.

Python imports this package before any stage, hence before NumPy and PyTorch, whose libraries read at their first use
which instructions they may use. With AVX2 instead of the newest ones, NumPy (with OpenBLAS) gives the same digits on
every x86-64 processor with AVX2; PyTorch (ATen, MKL, oneDNN) on every such processor of Intel's, as MKL ignores
MKL_CBWR=AVX2 on others. `arithmetic: native` in params.yaml leaves the choice to the libraries.
"""

import os
import platform
import re
from pathlib import Path


def portable() -> bool:
    """Whether params.yaml asks for portable arithmetic; a scan of its lines, as a YAML parser takes longer."""
    try:
        return not re.search(r"^arithmetic: *native\b", Path("params.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, ValueError):  # stages.params reports it
        return True


# The user's own choices would change results without a word, and NumPy refuses its one together with ours.
for chosen in [name for name in os.environ if name.startswith(("ONEDNN_", "DNNL_", "NPY_ENABLE_"))]:
    del os.environ[chosen]

if portable() and platform.machine() in ("x86_64", "AMD64"):
    os.environ |= {
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # exp and log of float64 have other digits there
        "OPENBLAS_CORETYPE": "Haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "MKL_CBWR": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # another value would override MKL_CBWR
        "ONEDNN_MAX_CPU_ISA": "AVX2",
    }
