"""Chromium on the page of a real Punchcard server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from firesteel.punchcard import Program
from playwright.sync_api import Browser, Page, expect, sync_playwright
from punchcard import Server, punchcard

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# A folder for pictures of every page, for people to look at.
SCREENSHOTS = os.environ.get("FIRESTEEL_SCREENSHOTS")


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.fail("Chromium is missing; install it, on Debian with: apt-get install chromium")
    # The machine also runs other tests.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        # The sandbox does not start as root, which CI is.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def page_server(folder: Path) -> Iterator[Server]:
    """A server with the user ada and the administrator root."""
    with punchcard(folder) as running:
        running.client("ada").close()
        running.command("user", "add", "root", "--admin", "--programs")
        running.tokens["root"] = running.command("token", "new", "--identity", "root")
        yield running


def submit(server: Server, name: str, program: str, folder: Path) -> str:
    """Submits a Python program of ada; returns the job's id."""
    file = folder / "program.py"
    file.write_text(program)
    with server.client() as client:
        return client.submit(name, Program(file, [])).id


@contextmanager
def signed_in(
    browser: Browser,
    server: Server,
    user: str = "ada",
    scheme: Scheme = "light",
    script: bool = True,
) -> Iterator[Page]:
    """A page of a signed-in user; its console must stay free of errors."""
    context = browser.new_context(
        base_url=server.address,
        color_scheme=scheme,
        java_script_enabled=script,
        viewport={"width": 1200, "height": 900},
    )
    page = context.new_page()
    errors: list[str] = []
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    sign_in(page, server.tokens[user])
    yield page
    context.close()
    assert not [error for error in errors if "status of 4" not in error], errors


def sign_in(page: Page, token: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


def violations(page: Page) -> str:
    """Returns what axe finds on a page; empty if nothing."""
    result = Axe().run(page)
    return result.generate_report() if result.violations_count else ""


def picture(page: Page, name: str) -> None:
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=True)
