"""A data set from Debian's archive: packages are signed and mirrored, and need no address of ours."""

import os
import shutil
import subprocess
from pathlib import Path

from stages.common.errors import StudyError

SECONDS = 300
QUICK = ("-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=10")


def unpack_package(package: str, folder: Path) -> None:
    """Download `package` through apt and unpack it below `folder`; needs no root unless apt's lists must be fetched."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise StudyError("needs apt-get and dpkg, which this machine lacks")
    failure = _run("apt-get", *QUICK, "download", package, folder=folder)
    if failure and ("Unable to locate" in failure or "404" in failure) and os.geteuid() == 0:
        # A fresh container has no package lists, an old one has stale lists.
        _run("apt-get", *QUICK, "update", folder=folder)
        failure = _run("apt-get", *QUICK, "download", package, folder=folder)
    archives = sorted(folder.glob(f"{package}_*.deb"))
    if failure or not archives:
        raise StudyError(f"apt-get download failed: {failure or 'no file arrived'}")
    failure = _run("dpkg", "-x", archives[0].name, ".", folder=folder)
    archives[0].unlink()
    if failure:
        raise StudyError(f"dpkg -x failed: {failure}")


def _run(*command: str, folder: Path) -> str:
    """Run quietly in `folder`; the empty string on success, else the last line of complaint."""
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"not done within {SECONDS} s"
    except OSError as error:
        return error.strerror or type(error).__name__
    if done.returncode == 0:
        return ""
    lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines
    return errors[-1].removeprefix("E:").strip() if errors else f"exit status {done.returncode}"
