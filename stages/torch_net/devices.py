"""Devices, what they support, their instructions, and deterministic computation."""

import ctypes
import os
from collections.abc import Callable

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


def cuda() -> torch.device | None:
    """An NVIDIA GPU, if there is one."""
    return torch.device("cuda") if torch.cuda.is_available() else None


def mps() -> torch.device | None:
    """An Apple GPU, if there is one."""
    return torch.device("mps") if torch.backends.mps.is_available() else None


def cpu() -> torch.device:
    """The processor."""
    return torch.device("cpu")


DEVICES: dict[str, Callable[[], torch.device | None]] = {
    "auto": lambda: cuda() or mps() or cpu(),
    "cuda": cuda,
    "mps": mps,
    "cpu": cpu,
}


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu.get_capabilities().get("avx512_bf16", False)
    return False


def make_native() -> None:
    """Let PyTorch use all instructions of the processor, which the package `stages` limits for portable arithmetic.

    Its libraries read these variables at their first use: call this before the first computation.
    """
    for name in ("ATEN_CPU_CAPABILITY", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA"):
        os.environ.pop(name, None)


def keep_memory() -> None:
    """Let the C library keep freed memory for the next batch: what goes back to the kernel is cleared page by page.

    For glibc; others have no such setting. Results are the same bytes.
    """
    if mallopt := getattr(ctypes.pythonapi, "mallopt", None):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def make_deterministic() -> None:
    """The same inputs give the same bytes: no algorithm may depend on the order in which threads finish."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required by cuBLAS
    # As use_deterministic_algorithms, which also imports the compiler: seconds in every process.
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
    torch.backends.cudnn.benchmark = False
