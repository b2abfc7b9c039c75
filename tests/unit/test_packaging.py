"""What is in the wheel is what is in the checkout, under one top-level name."""

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import hybridbo

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
SHIPPED = {".py", ".json", ".typed"}


def shipped_files():
    """Every file under hybridbo/ that belongs in a wheel, by its path there; the symlinks are followed."""
    for folder, folders, files in os.walk(ROOT / "hybridbo", followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for file in files:
            path = Path(folder, file)
            if path.suffix in SHIPPED:
                yield path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the checkout, so that nothing is left in the checkout itself."""
    source = tmp_path_factory.mktemp("source")
    for folder in ("hybridbo", "backends", "storage"):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        yield archive


def test_the_only_top_level_name_is_hybridbo(wheel):
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert tops == {"hybridbo", f"hybridbo-{hybridbo.__version__}.dist-info"}


def test_the_wheel_holds_every_file_of_the_checkout_and_no_other(wheel):
    packed = {name for name in wheel.namelist() if name.startswith("hybridbo/")}
    assert packed == set(shipped_files())
    assert {"hybridbo/backends/__init__.py", "hybridbo/storage/__init__.py", "hybridbo/py.typed"} <= packed


def test_the_two_root_folders_are_real_files_in_the_wheel(wheel):
    assert not [entry.filename for entry in wheel.infolist() if stat.S_ISLNK(entry.external_attr >> 16)]
    for folder in ("backends", "storage"):
        text = wheel.read(f"hybridbo/{folder}/__init__.py")
        assert text == (ROOT / folder / "__init__.py").read_bytes()


def test_the_wheel_says_what_it_is(wheel):
    info = f"hybridbo-{hybridbo.__version__}.dist-info"
    metadata = message_from_string(wheel.read(f"{info}/METADATA").decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "demo" in metadata.get_all("Provides-Extra")
    assert "hybridbo = hybridbo.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()


def test_every_package_on_disk_is_listed():
    on_disk = {Path(file).parent.as_posix().replace("/", ".") for file in shipped_files()}
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert sorted(on_disk) == listed


def third_party_imports():
    """The top-level names that the package imports, wherever in a file."""
    for file in shipped_files():
        if file.endswith(".py"):
            for node in ast.walk(ast.parse((ROOT / file).read_text())):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    yield node.module.partition(".")[0]


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    shipped_extras = [extras[name] for name in extras if name not in {"bench", "dev"}]
    declared = {re.match(r"[\w-]+", line).group().lower() for line in sum(shipped_extras, project["dependencies"])}
    tests_only = {"pytest", "hypothesis"}  # the contracts in hybridbo.testing are run by those who have them
    imported = set(third_party_imports()) - sys.stdlib_module_names - {"hybridbo"}
    sources = packages_distributions()
    undeclared = {
        name
        for name in imported
        if declared.isdisjoint(dist.lower().replace("_", "-") for dist in sources.get(name, [name]))
    }
    assert undeclared <= tests_only


def test_the_links_point_beside_the_package():
    for folder in ("backends", "storage"):
        link = ROOT / "hybridbo" / folder
        assert link.is_symlink()
        assert link.readlink() == Path("..", folder)


@pytest.mark.parametrize("name", ["backends", "storage"])
def test_a_root_folder_is_no_package_of_its_own(name):
    command = [sys.executable, "-c", f"import {name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"ImportError: import hybridbo.{name}, not {name}")
