"""A real notebook server and a real Chromium, for tests of what a person sees.

    with Server("lab") as server:
        page.goto(server.url(server.add(notebook(["1 + 1"]), "sum.ipynb")))
        run_all(page)
        with server.kernel("sum.ipynb") as kernel:
            assert kernel.value("_") == 2

The server runs on loopback with every Jupyter and IPython folder in a temporary place, so neither the settings nor the
running servers of whoever runs the tests are seen or touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlsplit

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, Response

App = Literal["lab", "notebook"]
T = TypeVar("T")

BIN = Path(sys.executable).parent
# Known only to the server on loopback that the tests start and stop themselves.
TOKEN = "attriscope-tests"
START_TIMEOUT = 60.0
PAGE_TIMEOUT_MS = 60_000

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = (
    "--no-sandbox",  # CI runs as root, where Chromium's sandbox does not start; it only opens our own server
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Chromium's own traffic, which would count as requests to the outside.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def wait_for(what: str, probe: Callable[[], T | None], timeout: float) -> T:
    """Asks again and again until the answer is true, and returns it."""
    end = time.monotonic() + timeout
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.1)


# --- notebooks --------------------------------------------------------------------------------------------------------


def notebook(cells: Sequence[str]) -> nbformat.NotebookNode:
    """A notebook of code cells; a cell that starts with "# md" and a line break is text."""
    made = [
        new_markdown_cell(cell.removeprefix("# md\n")) if cell.startswith("# md\n") else new_code_cell(cell)
        for cell in cells
    ]
    spec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=made, metadata={"kernelspec": spec})


# --- the server -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def isolated_environment(home: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment with every folder in which Jupyter and IPython keep something below `home`.

    Caches stay where they are: they hold nothing that changes a result, and building matplotlib's takes seconds.
    """
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "lab-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "lab-workspaces",
        "IPYTHONDIR": "ipython",
        "XDG_CONFIG_HOME": "xdg-config",
        "XDG_DATA_HOME": "xdg-data",
        "XDG_STATE_HOME": "xdg-state",
    }
    env = {k: v for k, v in os.environ.items() if k not in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH")}
    for variable, name in folders.items():
        (home / name).mkdir(parents=True)
        env[variable] = str(home / name)
    env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', '')}"
    env["JUPYTER_PLATFORM_DIRS"] = "1"
    return {**env, **extra}


class Server:
    """A JupyterLab or Notebook 7 server of our own. A context manager; `root` is the folder it shows."""

    def __init__(
        self,
        app: App = "lab",
        *,
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        args: Sequence[str] = (),
    ) -> None:
        """
        Args:
            app: which front end.
            env: further environment variables of the server and its kernels.
            settings: user settings by plug-in, for example {"@jupyterlab/apputils-extension:themes": {...}}.
            args: further arguments of the server's command line.
        """
        self.app = app
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._extra_env, self._settings, self._args = dict(env or {}), dict(settings or {}), list(args)

    # -- life --

    def __enter__(self) -> Server:
        self.home = Path(tempfile.mkdtemp(prefix="attriscope-server-"))
        self.root = self.home / "root"
        self.root.mkdir()
        self.env = isolated_environment(self.home, self._extra_env)
        # Else a toast about Jupyter's news covers the page, and its feed is asked for outside.
        quiet = {"fetchNews": "false", "checkForUpdates": False}
        self.set_setting("@jupyterlab/apputils-extension:notification", quiet)
        for plugin, values in self._settings.items():
            self.set_setting(plugin, values)
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        command = [
            sys.executable, "-m", "jupyter", self.app,
            "--no-browser",
            "--allow-root",
            "--expose-app-in-browser",  # window.jupyterapp, with which run_all() works
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={self.root}",
            *self._args,
        ]  # fmt: skip
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group of its own, so that stop() ends the kernels too
            )
        wait_for("the notebook server answers", self._is_up, START_TIMEOUT)

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the notebook server stopped at once:\n{self.log()[-3000:]}")
        try:
            self.api("status")
        except OSError:
            return False
        return True

    def stop(self) -> None:
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            with contextlib.suppress(OSError):
                self.shut_down_kernels()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    # -- what it serves --

    def add(self, what: Path | nbformat.NotebookNode, name: str | None = None) -> str:
        """Puts a file or a notebook made by notebook() into the server's folder and returns its name there."""
        if isinstance(what, Path):
            name = name or what.name
            shutil.copy(what, self.root / name)
        else:
            name = name or "test.ipynb"
            nbformat.write(what, self.root / name)
        return name

    def url(self, name: str) -> str:
        """Where a notebook opens. In JupyterLab with a clean desk: without what an earlier test had open."""
        if self.app == "lab":
            return f"{self.origin}/lab/tree/{quote(name)}?token={TOKEN}&reset"
        return f"{self.origin}/notebooks/{quote(name)}?token={TOKEN}"

    def set_setting(self, plugin: str, values: Mapping[str, Any]) -> None:
        """Writes a user setting; a page that is opened later has it."""
        extension, name = plugin.split(":")
        path = self.home / "lab-settings" / extension / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))

    # -- what it does --

    @property
    def log_file(self) -> Path:
        return self.home / "server.log"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.is_file() else ""

    def api(self, path: str, method: str = "GET") -> Any:
        """Asks the server's REST interface; urllib's errors are OSErrors."""
        request = urllib.request.Request(
            f"{self.origin}/api/{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
        )
        for attempt in range(10):
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    body = response.read()
                return json.loads(body) if body else None
            except urllib.error.HTTPError as error:
                if error.code == 404 and method == "DELETE":
                    return None  # it is gone, which is what was asked for
                # GET /api/kernels now and then answers 500 while a kernel starts or stops.
                if error.code < 500 or method != "GET" or attempt == 9:
                    raise
            time.sleep(0.2)
        raise AssertionError("unreachable")

    def shut_down_kernels(self) -> None:
        for kernel in self.api("kernels"):
            self.api(f"kernels/{kernel['id']}", "DELETE")

    @contextlib.contextmanager
    def kernel(self, name: str, timeout: float = 60.0) -> Iterator[Kernel]:
        """A second client of the kernel that runs the notebook: looks inside without touching the page."""

        def connection_file() -> Path | None:
            for session in self.api("sessions"):
                if session["path"] == name and session["kernel"]:
                    path = self.home / "runtime" / f"kernel-{session['kernel']['id']}.json"
                    return path if path.is_file() else None
            return None

        client = BlockingKernelClient(
            connection_file=str(wait_for(f"a kernel for {name}", connection_file, timeout))
        )
        client.load_connection_file()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=timeout)
            yield Kernel(client)
        finally:
            client.stop_channels()


@dataclass(frozen=True)
class Kernel:
    """Runs code in a notebook's kernel, on its main shell: it waits while a cell is running."""

    client: BlockingKernelClient

    def run(self, code: str, timeout: float = 60.0) -> str:
        """Runs code and returns what it printed; raises with the traceback when it fails."""
        printed: list[str] = []

        def collect(message: Mapping[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] == "error":
                printed.append(re.sub(r"\x1b\[[\d;]*m", "", "\n".join(content["traceback"])))

        # Not stored in the notebook's history: `_` and `In` stay what they are for the person at the page.
        reply = self.client.execute_interactive(
            code, timeout=timeout, output_hook=collect, store_history=False, allow_stdin=False
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError("".join(printed) or str(reply["content"]))
        return "".join(printed)

    def value(self, expression: str, timeout: float = 60.0) -> Any:
        """The value of an expression that JSON can carry."""
        return json.loads(self.run(f"import json as _json; print(_json.dumps({expression}))", timeout))


# --- the browser ------------------------------------------------------------------------------------------------------


def find_chromium() -> str | None:
    """The path of Chromium: what CHROMIUM names, or the first one on PATH."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright, chromium: str) -> Browser:
    return playwright.chromium.launch(executable_path=chromium, headless=True, args=list(CHROMIUM_ARGS))


@dataclass
class Watch:
    """Everything a page does that a person should never have to see.

    Attributes:
        console: errors that the page printed to its console.
        page_errors: exceptions that nothing caught.
        failed: requests that got no answer, or one of 400 and above.
        outside: requests that left this machine.
        messages: every line of the console with its type, for tests that look for one.
    """

    origin: str
    console: list[str] = field(default_factory=list)
    page_errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    _allowed: list[re.Pattern[str]] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.page_errors.append(f"{error}\n{error.stack or ''}".strip()))
        page.on("request", self._on_request)
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)

    def allow(self, pattern: str) -> None:
        """Says that a problem that matches the regular expression is expected."""
        self._allowed.append(re.compile(pattern))

    def problems(self) -> list[str]:
        """Every problem so far that was not allowed."""
        found = [
            f"{kind}: {text}"
            for kind in ("console", "page_errors", "failed", "outside")
            for text in getattr(self, kind)
        ]
        return [text for text in found if not any(pattern.search(text) for pattern in self._allowed)]

    def _on_console(self, message: ConsoleMessage) -> None:
        self.messages.append((message.type, message.text))
        if message.type == "error":
            self.console.append(f"{message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and f"http://{url.netloc}" != self.origin:
            self.outside.append(request.url)

    def _on_failed(self, request: Request) -> None:
        # A page that is left or reloaded aborts what is under way, which is nobody's fault.
        if request.failure != "net::ERR_ABORTED":
            self.failed.append(f"{request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.failed.append(f"{response.request.method} {response.url}: {response.status}")
