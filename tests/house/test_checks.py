"""Keeps the house: linters, type checkers, the committed page bundle, and what wheel and sdist hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[2]
JS = ROOT / "js"
STATIC = "src/attriscope/widget/static"
BUNDLE = ("widget.js", "widget.css")
# What a source distribution is made from; the copy that is built leaves out everything else lying about.
SOURCES = (
    "src", "js", "notebooks", "tests", "hatch_build.py", "pyproject.toml", "README.md", "CONTRIBUTING.md",
    "CHANGELOG.md", "LICENSE", ".gitignore",
)  # fmt: skip


def run(command: Sequence[str | Path], cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Runs a command to a good end and returns what it printed; what a failed one printed is the failure."""
    done = subprocess.run(
        command, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        plain = re.sub(r"\x1b\[[\d;]*m", "", done.stdout)
        pytest.fail(f"{' '.join(map(str, command))} (in {cwd.name}/):\n{plain}", pytrace=False)
    return done.stdout


def python(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


# --- Python -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(check: tuple[str, ...]) -> None:
    run(python("ruff", *check, "."))


@pytest.mark.timeout(600)  # the first run reads all of torch; later ones use mypy's cache
def test_mypy() -> None:
    run(python("mypy"))


# --- the page half, with Node -----------------------------------------------------------------------------------


def is_current(lock: Path, installed: Path) -> bool:
    """Whether node_modules holds what the lock file asks for."""
    if not installed.is_file():
        return False
    wanted, have = (json.loads(path.read_text())["packages"] for path in (lock, installed))
    # Packages for other systems are optional and never installed, so it is enough that the others are there.
    return all(
        path in have and have[path]["version"] == entry["version"]
        for path, entry in wanted.items()
        if path and not entry.get("optional")
    ) and all(path in wanted for path in have)


@pytest.fixture(scope="session")
def npm(cannot_run: Callable[[str], NoReturn]) -> str:
    """npm, with everything that js/package-lock.json names installed."""
    found = shutil.which("npm")
    if found is None:
        cannot_run("checks of the page half need Node.js 20 or newer, and npm is not on PATH")
    if not is_current(JS / "package-lock.json", JS / "node_modules/.package-lock.json"):
        run([found, "ci"], cwd=JS)
    return found


@pytest.mark.timeout(600)  # the first of these may have to install node_modules
@pytest.mark.parametrize("script", ["typecheck", "lint", "format:check", "test"])
def test_page_half(npm: str, script: str) -> None:
    run([npm, "run", "--silent", script], cwd=JS)


@pytest.mark.timeout(600)
def test_rebuilt_bundle_is_the_committed_one(npm: str, tmp_path: Path) -> None:
    run([npm, "run", "--silent", "build", "--", "--outdir", str(tmp_path)], cwd=JS)
    for name in (*BUNDLE, "BUNDLE.json"):
        committed = ROOT / STATIC / name
        assert committed.is_file(), (
            f"{STATIC}/{name} is missing: run `npm run build` in js/ and commit the result"
        )
        assert committed.read_bytes() == (tmp_path / name).read_bytes(), (
            f"{STATIC}/{name} is not what its sources build: run `npm run build` in js/ and commit the result"
        )


# --- the page half, without Node --------------------------------------------------------------------------------


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def source_hash() -> str:
    """The same hash over the same files as in js/build.mjs."""
    in_src = [p for p in (JS / "src").rglob("*") if p.is_file() and not p.name.startswith(".")]
    names = sorted(p.relative_to(JS).as_posix() for p in in_src)
    names = sorted([*names, "build.mjs", "package-lock.json", "tsconfig.json"])
    return sha256("".join(f"{sha256((JS / name).read_bytes())}  {name}\n" for name in names).encode())


def manifest() -> dict[str, Any]:
    path = ROOT / STATIC / "BUNDLE.json"
    assert path.is_file(), "BUNDLE.json is missing, as after `npm run dev`: run `npm run build` in js/"
    return json.loads(path.read_text())


def test_bundle_was_built_from_these_sources() -> None:
    assert manifest()["sources"] == source_hash(), "js/ changed since the last `npm run build`"


@pytest.mark.parametrize("name", BUNDLE)
def test_bundle_was_not_edited_by_hand(name: str) -> None:
    assert manifest()["files"][name] == sha256((ROOT / STATIC / name).read_bytes())


def test_bundle_is_small() -> None:
    """Every widget in a notebook carries a copy of both files, also in the saved notebook."""
    assert sum((ROOT / STATIC / name).stat().st_size for name in BUNDLE) < 285_000


def test_lock_file_names_no_registry() -> None:
    assert '"resolved"' not in (JS / "package-lock.json").read_text()


# --- wheel and sdist --------------------------------------------------------------------------------------------


def copy_of_the_sources(to: Path) -> Path:
    to.mkdir()
    ignore = shutil.ignore_patterns("node_modules", "__pycache__", ".ipynb_checkpoints", ".*_cache")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=ignore)
        elif source.is_file():
            shutil.copy(source, to / name)
    return to


def only_path(folder: Path) -> dict[str, str]:
    """The environment with a PATH of one folder: no Node, nor anything else, unless the test puts it there."""
    folder.mkdir()
    return {**os.environ, "PATH": str(folder)}


def weights() -> set[str]:
    zoo = ROOT / "src/attriscope/zoo"
    return {f"attriscope/zoo/{p.name}" for kind in ("*.pt", "*.npz") for p in zoo.glob(kind)}


def in_package() -> set[str]:
    """What both distributions must hold, as paths below src/."""
    static = STATIC.removeprefix("src/")
    return {"attriscope/py.typed", *(f"{static}/{name}" for name in BUNDLE), *weights()}


def test_wheel_and_sdist_hold_what_they_must(tmp_path: Path) -> None:
    source, dist = copy_of_the_sources(tmp_path / "source"), tmp_path / "dist"
    # No Node: what is committed is enough. No isolation: the build backend is part of the test extra.
    env = only_path(tmp_path / "bin")
    # Not named, the wheel is made from the unpacked sdist, which shows that an sdist is enough to build from.
    run(python("build", "--no-isolation", "--outdir", str(dist)), cwd=source, env=env)

    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    assert in_package() <= in_wheel
    assert all(name.startswith("attriscope") for name in in_wheel)
    assert any(name.endswith("licenses/LICENSE") for name in in_wheel)

    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in in_package()} <= in_sdist
    assert {"js/package-lock.json", "js/build.mjs", "js/src/index.ts", "hatch_build.py"} <= in_sdist
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "notebooks").glob("*.ipynb")} <= in_sdist
    assert {"tests/house/test_checks.py", "CONTRIBUTING.md", "CHANGELOG.md"} <= in_sdist
    assert not any("node_modules" in name for name in in_sdist)


@pytest.mark.parametrize("name", [*BUNDLE, "BUNDLE.json"])
def test_missing_bundle_without_npm_is_a_clear_error(tmp_path: Path, name: str) -> None:
    source = copy_of_the_sources(tmp_path / "source")
    (source / STATIC / name).unlink()
    done = subprocess.run(
        python("build", "--wheel", "--no-isolation"),
        cwd=source,
        env=only_path(tmp_path / "bin"),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode != 0
    assert f"{name} must be built, and npm is not on PATH" in done.stdout
    assert "install Node.js 20 or newer" in done.stdout
    assert "git checkout" in done.stdout
    assert not list(source.glob("dist/*.whl"))


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a shell script")
@pytest.mark.parametrize("asked", [False, True], ids=["missing", "asked for"])
def test_bundle_is_built_with_npm(tmp_path: Path, asked: bool) -> None:
    """With a stand-in for npm, so that it needs neither Node nor a registry: only the hook is on trial."""
    source = copy_of_the_sources(tmp_path / "source")
    if not asked:
        for name in BUNDLE:
            (source / STATIC / name).unlink()
    env = only_path(tmp_path / "bin")
    stand_in = tmp_path / "bin/npm"
    stand_in.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> "{tmp_path}/calls"\n'
        '[ "$1" = run ] || exit 0\n'
        f"for name in {' '.join(BUNDLE)} BUNDLE.json; do echo built > ../{STATIC}/$name; done\n"
    )
    stand_in.chmod(0o755)
    env["ATTRISCOPE_BUILD_JS"] = "1" if asked else "0"
    run(python("build", "--wheel", "--no-isolation"), cwd=source, env=env)
    assert (tmp_path / "calls").read_text().splitlines() == ["ci", "run build"]
    (wheel,) = source.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"{STATIC.removeprefix('src/')}/widget.js") == b"built\n"


# --- the two commands of the README -----------------------------------------------------------------------------


def readme_command(name: str) -> str:
    """The one-line command in the fenced block after <!-- command: name -->."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"<!-- command: {name} -->\s*```\w*\n(.*?)\n```", text, re.DOTALL)
    assert len(found) == 1, f"README.md has {len(found)} blocks marked 'command: {name}'"
    assert "\n" not in found[0], f"the command {name!r} is one line, so that a person can paste it"
    return found[0]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 700


def test_readme_names_the_notebook_that_is_there() -> None:
    (notebook,) = re.findall(r"\S+\.ipynb", readme_command("demo"))
    assert (ROOT / notebook).is_file()


@pytest.mark.skipif(os.name != "posix", reason=".ci/run is a shell script")
def test_ci_runs_the_command_of_the_readme() -> None:
    printed = run(["bash", ".ci/run", "--print-command"])
    assert printed.rstrip("\n") == readme_command("test")
