"""Makes sure that no wheel or sdist is built without the page bundle.

The built bundle is committed, so the usual install needs no Node. It is built here only when it is missing, or when
ATTRISCOPE_BUILD_JS=1 asks for it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/attriscope/widget/static")
# BUNDLE.json vouches for the other two: `npm run dev` removes it, because what it writes is not fit to be shipped.
FILES = ("widget.js", "widget.css", "BUNDLE.json")


class PageBundleHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        missing = self._missing()
        if not missing and os.environ.get("ATTRISCOPE_BUILD_JS") != "1":
            return
        npm = shutil.which("npm")
        if npm is None:
            wanted = (
                " and ".join(str(path) for path in missing) or "a new page bundle (ATTRISCOPE_BUILD_JS=1)"
            )
            self.app.abort(
                f"attriscope: {wanted} must be built, and npm is not on PATH. Either install Node.js 20 or newer and "
                f"try again, or get the committed files back (git checkout -- {STATIC.as_posix()}), or install a "
                "released wheel, which holds them."
            )
            return
        for command in (["ci"], ["run", "build"]):
            subprocess.run([npm, *command], cwd=Path(self.root) / "js", check=True)
        if missing := self._missing():
            self.app.abort(f"attriscope: 'npm run build' did not write {' and '.join(map(str, missing))}.")

    def _missing(self) -> list[Path]:
        return [STATIC / name for name in FILES if not (Path(self.root) / STATIC / name).is_file()]
