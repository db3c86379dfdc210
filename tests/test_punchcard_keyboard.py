"""Punchcard's page without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from punchcard import Server, wait
from punchcard_page import chromium, page_server, picture, signed_in, submit

# All that can be reached by the Tab key, in the order of the document.
ELEMENTS = """() => {
  const kinds = 'a[href], button, input, select, summary, [tabindex="0"]';
  const found = document.querySelectorAll(kinds);
  window.elements = [...found].filter((element) => {
    const closed = element.closest("details:not([open])");
    return element.type !== "hidden" && element.checkVisibility()
      && (!closed || element === closed.querySelector("summary"));
  });
  return window.elements.map((element) => element.outerHTML.slice(0, 100));
}"""
FOCUSED = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return {
    at: window.elements.indexOf(element),
    ring: style.outlineStyle === "solid" ? parseFloat(style.outlineWidth) : 0,
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with page_server(tmp_path_factory.mktemp("keyboard") / "punchcard") as running:
        yield running


def ended(server: Server, name: str, folder: Path) -> str:
    """Runs a program that leaves a file; returns the job's id."""
    program = (
        "import os\nfrom pathlib import Path\nprint('some text')\n"
        "Path(os.environ['FIRESTEEL_PUNCHCARD_RESULTS'], 'a.txt').write_text('a')\n"
    )
    id = submit(server, name, program, folder)
    with server.client() as client:
        wait(client, id)
    return id


def walk(page: Page) -> list[int]:
    """Presses Tab once around the page; returns the places of the focused elements."""
    elements = page.evaluate(ELEMENTS)
    places = []
    for _ in range(len(elements) + 2):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["at"] >= 0 and focused["at"] not in places:
            what = elements[focused["at"]]
            assert focused["ring"] >= 2 and focused["seen"], (what, focused)
            places.append(focused["at"])
    missed = [text for place, text in enumerate(elements) if place not in places]
    assert not missed, missed
    return places


def test_every_control_of_every_page_is_reached_in_order_and_seen(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    id = ended(server, "walked", tmp_path)
    with signed_in(browser, server, "root") as page:
        for path in (
            "/jobs",
            "/jobs?name=nothing",
            f"/jobs/{id}",
            f"/jobs/{id}/log",
            f"/jobs/{id}/delete",
            "/tokens",
            "/users",
            "/users/ada",
            "/nothing",
            "/sign-in",
        ):
            page.goto(path)
            places = walk(page)
            first = places.index(0)
            assert places[first:] + places[:first] == [*range(len(places))], (path, places)


def test_a_job_is_found_and_deleted_with_the_keyboard(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    id = ended(server, "unwanted", tmp_path)
    with signed_in(browser, server) as page:
        page.get_by_label("Name contains").focus()
        page.keyboard.type("unwant")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{server.address}/jobs?name=unwant&state=")
        go_to(page, "unwanted")
        picture(page, "focus")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{server.address}/jobs/{id}")
        go_to(page, "Delete")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Delete this job?")).to_be_visible()
        go_to(page, "Delete")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The job is deleted.")).to_be_visible()
        expect(page.get_by_role("link", name="unwanted")).to_have_count(0)


def go_to(page: Page, text: str) -> None:
    """Presses Tab until the element with a text has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == text:
            return
    pytest.fail(f"Tab does not lead to {text}")


def test_escape_closes_a_question_and_returns_to_its_button(
    browser: Browser, server: Server
) -> None:
    with signed_in(browser, server) as page:
        page.goto("/tokens")
        summary = page.locator("details.confirm summary").first
        summary.focus()
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Revoke this token").first
        expect(button).to_be_visible()
        page.keyboard.press("Tab")
        expect(button).to_be_focused()
        page.keyboard.press("Escape")
        expect(button).to_be_hidden()
        expect(summary).to_be_focused()
