"""Nothing comes in that isn't pinned by its hash, nothing phones home, and the workflows may only read."""

import ast
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stages.common.strict_yaml import _StrictLoader
from tests.project import ROOT, Project

# Packages


def entries(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each line of a requirements file, continued ones as one, with its hashes apart."""
    for line in text.replace("\\\n", " ").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement:
            yield re.sub(r"\s+--hash=\S+", "", requirement), re.findall(r"--hash=(\S+)", requirement)


def pinned(line: str) -> Requirement | None:
    """The requirement of a line that names a package and one release of it, and nothing else."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+(\s*;.*)?", line):
        return None
    return Requirement(line)


def lock_faults(requirements: str, lock: str) -> list[str]:
    """What keeps a lock from saying, by version and hash, what the requirements stand for."""
    faults, locked, wanted = [], {}, {}
    for line, hashes in entries(lock):
        if (requirement := pinned(line)) is None:
            faults.append(f"the lock says {line}, which is no release")
        elif not hashes or not all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in hashes):
            faults.append(f"the lock knows {line} by no SHA-256")
        else:
            locked.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    for line, _ in entries(requirements):
        if (requirement := pinned(line)) is None:
            faults.append(f"requirements.txt says {line}, which is no release")
            continue
        wanted[canonicalize_name(requirement.name)] = requirement
        found = locked.get(canonicalize_name(requirement.name), [])
        if [other.specifier for other in found] != [requirement.specifier]:
            told = " and ".join(map(str, found)) or "nothing"
            faults.append(f"requirements.txt says {line}, the lock {told}: make lock")
    for line in re.findall(r"-r requirements.txt$|^\S+==", lock, re.MULTILINE):
        if line.endswith("=="):
            name = line.removesuffix("==")
        elif canonicalize_name(name) not in wanted:
            faults.append(f"the lock has {name} from requirements.txt, which has it no more: make lock")
    return faults


REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_lock_says_by_version_and_hash_what_the_requirements_stand_for():
    assert lock_faults(REQUIREMENTS, LOCK) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("requirements", "numpy==", "numpy==9", "requirements.txt says numpy==9"),
        ("requirements", "numpy==", "numpy>=", "which is no release"),
        ("requirements", "numpy==", "numpy @ https://example.invalid/numpy.whl#", "which is no release"),
        ("requirements", "numpy==", "git+https://example.invalid/numpy#", "which is no release"),
        ("requirements", "numpy==", "--pre\nnumpy==", "says --pre"),
        ("requirements", "numpy==", "new-one==1\nnumpy==", "requirements.txt says new-one==1, the lock nothing"),
        ("requirements", "numpy==", "# numpy==", "has numpy from requirements.txt, which has it no more"),
        ("lock", "\naiohttp==", "\naiohttp>=", "which is no release"),
        ("lock", "\naiohttp==", "\n-e .\naiohttp==", "the lock says -e ."),
        ("lock", "\naiohttp==", "\nother==1\naiohttp==", "knows other==1 by no SHA-256"),
        ("lock", "--hash=sha256:", "--hash=md5:", "by no SHA-256"),
    ],
)
def test_lock_that_has_come_loose(file: str, old: str, new: str, fault: str):
    texts = {"requirements": REQUIREMENTS, "lock": LOCK}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new, 1)
    assert any(fault in line for line in lock_faults(**texts))


def test_what_is_installed_is_what_the_lock_says():
    requirements = [Requirement(line) for line, _ in entries(LOCK)]
    locked = {
        canonicalize_name(requirement.name): next(iter(requirement.specifier)).version
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate()
    }
    installed = {canonicalize_name(part.name): part.version for part in importlib.metadata.distributions()}
    assert installed == locked, "remove .venv, make setup; what else was installed, the tests must not come to need"


def test_no_file_says_where_packages_come_from():
    """Whoever installs has an index, or a mirror: a file that named one would overrule it, or add to it."""
    pattern = r"--(extra-)?index-url|--find-link[s]|--trusted-hos[t]|/simple([/\"'[:space:]]|$)"
    done = subprocess.run(["git", "grep", "-nIE", "-e", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def write_wheel(folder: Path, name: str) -> Path:
    """A package that holds one empty module."""
    path = folder / f"{name}-1-py3-none-any.whl"
    described = f"{name}-1.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        file.writestr(f"{described}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        file.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{described}/RECORD", "")
    return path


@pytest.mark.parametrize("tampered", [False, True])
def test_package_of_another_hash_is_not_installed(tmp_path: Path, tampered: bool):
    """By the real pip, with the lines of the Makefile."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    lines = []
    for name in ("setuptools", "dvc"):  # one that is installed before the others, one that make calls
        wheel = write_wheel(tmp_path, name)
        lines.append(f"{name}==1 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    (tmp_path / "requirements.lock").write_text("".join(lines))
    if tampered:
        with zipfile.ZipFile(wheel, "a") as file:
            file.writestr("added.py", "")
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = subprocess.run(
        ["make", "setup", f"PYTHON={Path(sys.base_prefix) / 'bin/python3'}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == tampered, done.stdout
    assert ("THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout) == tampered
    assert bool(list(tmp_path.glob(".venv/lib/python*/site-packages/dvc.py"))) != tampered
    assert (tmp_path / ".venv/requirements.lock").exists() != tampered


def test_every_advisory_that_the_audit_passes_over_is_explained():
    (line,) = re.findall(r"^EXCEPTIONS := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [advisory for advisory in line.split() if advisory not in readme] == []


# Workflows

WORKFLOWS = sorted((ROOT / ".github/workflows").iterdir())


def workflow_faults(text: str) -> list[str]:
    """What a workflow could do, or have done to it, beyond reading the repository."""
    faults = []
    workflow = yaml.safe_load(text)
    if workflow.get("permissions") != {"contents": "read"}:
        faults.append("its permissions are not contents: read")
    # True: what YAML takes `on` for. Others run with the repository's own rights on what a stranger wrote.
    if not set(workflow[True]) <= {"push", "pull_request", "schedule", "workflow_dispatch"}:
        faults.append(f"it runs on {', '.join(workflow[True])}")
    if "secrets" in text:
        faults.append("it speaks of secrets")
    for job in workflow["jobs"].values():
        if "permissions" in job:
            faults.append("a job has permissions of its own")
        for step in job["steps"]:
            action, settings = step.get("uses", ""), step.get("with") or {}
            if action and not re.search(rf"uses: {re.escape(action)} # v\d+\.\d+\.\d+$", text, re.MULTILINE):
                faults.append(f"{action} has no version beside it")
            if action and not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action):
                faults.append(f"{action} is not pinned by a commit")
            if action.startswith("actions/checkout@") and settings.get("persist-credentials") is not False:
                faults.append("a checkout leaves its token behind")
            if "${{" in step.get("run", ""):
                faults.append("a command is put together from what the event says")  # a branch's name, say
    return faults


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_only_read(path: Path):
    assert workflow_faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("contents: read", "contents: write", "permissions"),
        ("permissions:\n  contents: read\n", "", "permissions"),
        ("    steps:", "    permissions: write-all\n    steps:", "permissions of its own"),
        ("  pull_request:", "  pull_request_target:", "pull_request_target"),
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8", "@v5", "not pinned by a commit"),
        (" # v5.0.0", "", "has no version"),
        ("persist-credentials: false", "persist-credentials: true", "leaves its token"),
        ("          persist-credentials: false\n", "", "leaves its token"),
        ("run: make setup", "run: echo ${{ github.head_ref }}", "put together"),
        ("run: make setup", "run: make setup\n        env:\n          KEY: ${{ secrets.KEY }}", "secrets"),
    ],
)
def test_workflow_that_may_more(old: str, new: str, fault: str):
    text = (ROOT / ".github/workflows/compare.yml").read_text(encoding="utf-8")
    assert old in text
    assert [fault in line for line in workflow_faults(text.replace(old, new, 1))] == [True]


def test_ci_audits_what_is_installed():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run", "make audit"]


# Telemetry and connections


def test_dvc_tells_nobody_that_it_was_used(miniature_project: Project, tmp_path: Path):
    """Nor does it ask for newer releases. It would do both in a process of its own, which DVC_DAEMON holds back."""
    project = miniature_project.copy(tmp_path / "project")
    skipped = "skipping launching a new daemon."
    output = project.dvc("version", "--verbose", DVC_DAEMON="1", CI="")
    assert "Analytics is disabled." in output
    assert "Check for update is disabled." in output
    assert skipped not in output
    for key in ("analytics", "check_update"):
        project.dvc("config", f"core.{key}", "true", DVC_DAEMON="1")
    assert project.dvc("version", "--verbose", DVC_DAEMON="1", CI="").count(skipped) == 2


# Run by every Python of a stage before anything else: writes down whoever is connected to, or looked up.
WITNESS = """
import os, sys

def witness(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        if not isinstance(address, (str, bytes)) or event.startswith("socket.get"):  # else: a socket of this machine
            with open(os.environ["WITNESSED"], "a") as file:
                print(event, address, file=file)

sys.addaudithook(witness)
with open(os.environ["WITNESSED"], "a") as file:
    print("python", file=file)
"""


def without_network() -> list[str]:
    """What runs a command with no network at all, not even this machine's own; nothing where that isn't allowed."""
    commands = [["unshare", "--net"], ["unshare", "--net", "--map-root-user"]] if shutil.which("unshare") else []
    allowed = (subprocess.run([*command, "true"], capture_output=True, check=False).returncode for command in commands)
    return next((command for command, status in zip(commands, allowed, strict=True) if status == 0), [])


def witnessed(project: Project, folder: Path, *command: str, succeeds: bool) -> set[str]:
    """Run a command; return whom it, or what it started, connected to."""
    (folder / "sitecustomize.py").write_text(WITNESS)
    done = project.run(*command, PYTHONPATH=str(folder), WITNESSED=str(folder / "witnessed"), STUDY_JOBS="2")
    assert (done.returncode == 0) == succeeds, done.stdout
    lines = (folder / "witnessed").read_text().splitlines()
    assert lines.count("python") >= 2, done.stdout  # DVC, and a stage
    return set(lines) - {"python"}


def test_study_connects_to_nobody(reproduced: Project, tmp_path: Path):
    before = reproduced.outputs()
    stages = ["train_numpy", "tune@batch_size", "train_torch"]
    command = [*without_network(), "dvc", "repro", "--force", "--single-item", *stages]
    assert witnessed(reproduced, tmp_path, *command, succeeds=True) == set()
    assert reproduced.outputs() == before


def test_download_connects_where_it_is_told_to(reproduced: Project, tmp_path: Path):
    """And the witness sees it."""
    shutil.rmtree(reproduced.data)
    reproduced.data.mkdir()
    command = ["dvc", "repro", "--force", "download@fashion_mnist"]
    connections = witnessed(reproduced, tmp_path, *command, succeeds=False)
    assert "socket.connect ('127.0.0.1', 9)" in connections
    assert all("127.0.0.1" in line for line in connections), connections


# Pickles


def test_dvc_keeps_its_pickles_where_nobody_else_gets_at_them(miniature_project: Project, tmp_path: Path):
    """As `make setup` has it (see test_make.py): in a project, and in an experiment's copy of it."""
    project = miniature_project.copy(tmp_path / "project")
    place = project.folder / ".venv/dvc"
    kept = place / "repo"
    kept.mkdir(parents=True)
    kept.chmod(0o700)
    project.dvc("config", "--local", "core.site_cache_dir", str(place))
    project.replace("dvc.yaml", "stages:\n", "stages:\n  quick: {cmd: date > quick, outs: [quick]}\n")
    project.commit()
    project.dvc("exp", "run", "--temp", "quick", DVC_SITE_CACHE_DIR="")
    assert len(list(kept.glob("*/links/cache.db"))) == 2
    assert kept.stat().st_mode & 0o777 == 0o700
    assert project.succeed("git", "status", "--porcelain") == ""


LOADERS = {"pickle", "_pickle", "cloudpickle", "dill", "jsonpickle", "marshal", "shelve"}
# The runs of a study go to its workers, and to those of Dask, as pickles that the study itself has made.
SENDERS = {"stages/common/cluster.py", "stages/common/workers.py"}
# Calls that can run what they read, and the argument that keeps them from it; None: nothing does.
SAFELY = {
    "np.load": "allow_pickle=False",
    "np.lib.format.read_array": "allow_pickle=False",
    "torch.load": "weights_only=True",
    "yaml.load": "_StrictLoader",  # see the test below
    "yaml.unsafe_load": None,
    "yaml.full_load": None,
    "pd.read_pickle": None,
    "joblib.load": None,
    "eval": None,
    "exec": None,
}


def unsafe_loading(name: str, source: str) -> list[str]:
    """What a file says that could run code which comes as data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom) and name not in SENDERS:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [module for module in modules if module.partition(".")[0] in LOADERS]
        if isinstance(node, ast.Call) and (called := ast.unparse(node.func)) in SAFELY:
            arguments = [ast.unparse(argument) for argument in node.args]
            arguments += [f"{keyword.arg}={ast.unparse(keyword.value)}" for keyword in node.keywords]
            found += [called] if SAFELY[called] not in arguments else []
    return found


SOURCES = [*sorted((ROOT / "stages").rglob("*.py")), *sorted((ROOT / "tools").rglob("*.py"))]


def test_nothing_that_comes_as_data_is_run():
    found = {
        name: loading
        for name in (path.relative_to(ROOT).as_posix() for path in SOURCES)
        if (loading := unsafe_loading(name, (ROOT / name).read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from cloudpickle import loads",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "yaml.load(text, yaml.Loader)",
        "yaml.unsafe_load(text)",
        "joblib.load(path)",
        "pd.read_pickle(path)",
        "eval(text)",
    ],
)
def test_line_that_would_run_what_comes_as_data(line: str):
    assert len(unsafe_loading("stages/new.py", line)) == 1


def test_loader_of_the_parameters_is_a_safe_one():
    assert issubclass(_StrictLoader, yaml.SafeLoader)
