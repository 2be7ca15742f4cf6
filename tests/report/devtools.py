"""A headless Chromium spoken to by the DevTools protocol over a pipe: no port, no package.

What a test needs and no more: a page is opened, clicked and typed at as a user would, asked
questions in JavaScript, photographed, and whatever it complains of is kept in `complaints`.
"""

import base64
import io
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--force-color-profile=srgb", "--remote-debugging-pipe",
)  # fmt: skip
# The protocol wants its pipe at descriptors 3 and 4.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 63)
os.dup2(int(sys.argv[2]), 64)
os.dup2(63, 3)
os.dup2(64, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}


class Browser:
    """One page in one browser."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self.complaints: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while (answer := self._receive(60)).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def wait_for(self, event: str) -> None:
        """Return once the browser has reported an event."""
        while (message := self._receive(60)).get("method") != event:
            self._note(message)

    def _receive(self, seconds: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._reads], [], [], seconds)[0]:
                raise TimeoutError(f"Chromium said nothing for {seconds} s")
            chunk = os.read(self._reads, 1 << 20)
            if not chunk:
                raise EOFError("Chromium has ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, message: dict[str, Any]) -> None:
        method, said = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"]))
        if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(said["args"]))
        if method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(said["entry"]["text"])

    def open(self, page: Path) -> float:
        """Open a file and return the seconds until it has loaded and been painted."""
        started = time.perf_counter()
        self.open_quietly(page)
        self.ask("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.perf_counter() - started

    def open_quietly(self, page: Path) -> None:
        """Open a file and wait until it has loaded, which a page without scripts does too."""
        self.call("Page.navigate", url=page.as_uri())
        self.wait_for("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """Return the value of an expression, of a promise what it is resolved to."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True,
            userGesture=True,
        )  # fmt: skip
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another size in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=False,
        )  # fmt: skip

    def media(self, scheme: str = "light", kind: str = "") -> None:
        """Let the reader prefer a colour scheme, or print."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def click(self, selector: str, across: float = 0.5) -> None:
        """Press and release the mouse on the first element that matches; raise if it is covered."""
        place = self.ask(f"""(() => {{
            const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center", inline: "nearest", behavior: "instant"}});
            const b = e.getBoundingClientRect();
            const x = b.left + b.width * {across}, y = b.top + b.height / 2;
            const hit = document.elementFromPoint(x, y);
            return e.contains(hit) || (hit && hit.contains(e)) ? [x, y] : null;
        }})()""")
        if place is None:
            raise RuntimeError(f"{selector} cannot be clicked: something covers it")
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left",
                buttons=1, clickCount=1,
            )  # fmt: skip

    def press(self, key: str) -> None:
        """Press and release a key by its name."""
        more = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **more, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **more)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.call("Input.insertText", text=text)

    def photograph(self, *, whole: bool = False) -> Image.Image:
        """Return what the window shows, or the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start Chromium with an empty profile and end it."""
    their_reads, our_writes = os.pipe()
    our_reads, their_writes = os.pipe()
    command = [CHROMIUM or "", *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(their_reads), str(their_writes), *command],
        pass_fds=(their_reads, their_writes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_reads)
    os.close(their_writes)
    try:
        yield Browser(our_reads, our_writes)
    finally:
        os.close(our_writes)
        os.close(our_reads)
        process.terminate()
        process.wait(20)
