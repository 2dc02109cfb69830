"""Which of the project's own files a node imports, directly or through others: what its deps in dvc.yaml must name.

A library folder that is a package (it has an `__init__.py`) counts as one dependency; of `common`, the single files.
"""

import ast
from pathlib import Path


def imported_modules(root: Path, source: Path) -> set[str]:
    """Dotted names below `stages` that a file imports, at any depth of its code, relative imports too."""
    names = set()
    folders = source.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"), filename=str(source))):
        if isinstance(node, ast.ImportFrom):
            above = folders[: len(folders) + 1 - node.level] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.split(".")[0] == "stages"}


def location(root: Path, module: str) -> Path | None:
    """The file or package folder that a dotted name stands for, or None for a name inside a module."""
    path = root.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path if (path / "__init__.py").is_file() else None


def dependencies(root: Path, node: Path) -> set[str]:
    """Every project file and package folder that `node` imports, transitively, as paths below `root`; with `node`."""
    found: set[Path] = set()
    waiting = [node]
    while waiting:
        path = waiting.pop()
        packages = [parent for parent in path.parents if (parent / "__init__.py").is_file()]
        place = packages[-1] if packages else path
        if place not in found:
            found.add(place)
            sources = sorted(place.rglob("*.py")) if place.is_dir() else [place]
            modules = {module for source in sources for module in imported_modules(root, source)}
            waiting += [target for module in sorted(modules) if (target := location(root, module))]
    return {path.relative_to(root).as_posix() for path in found}
