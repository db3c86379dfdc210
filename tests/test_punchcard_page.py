"""Punchcard's page in headless Chromium, with real jobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from firesteel import Network
from firesteel.layers import Linear, ReLU, Softmax
from firesteel.punchcard import Client, Data, Estimator, Program
from playwright.sync_api import Browser, BrowserContext, expect
from punchcard import DATA, Server, wait
from punchcard_page import (
    SCHEMES,
    Scheme,
    chromium,
    page_server,
    picture,
    signed_in,
    submit,
    violations,
)

NETWORK = Network.sequential(Linear(64), ReLU(), Linear(10), Softmax())
# A page waits for Spark's start.
PATIENT = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with page_server(tmp_path_factory.mktemp("page") / "punchcard") as running:
        yield running


@pytest.fixture(scope="module")
def fit(server: Server) -> str:
    """A finished fit with three epochs."""
    params = {
        "epochs": 3,
        "numWorkers": 2,
        "strategy": "adag",
        "window": 4,
        "seed": 1,
        "metrics": ["accuracy"],
        "validationFraction": 0.2,
    }
    with server.client() as client:
        estimator = Estimator("NetworkClassifier", NETWORK, params)
        job = client.submit("mnist", estimator, data=Data(f"{DATA}mnist-train.parquet"))
        return wait(client, job.id, "SUCCEEDED").id


def test_a_user_signs_in_and_out_with_the_keyboard(browser: Browser, server: Server) -> None:
    context: BrowserContext = browser.new_context(base_url=server.address)
    page = context.new_page()
    page.goto("/tokens")
    expect(page).to_have_url(f"{server.address}/sign-in?next=%2Ftokens")
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The token is unknown, expired or revoked")).to_be_visible()
    expect(page.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
    page.keyboard.type(server.tokens["ada"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your tokens")).to_be_visible()
    (cookie,) = context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/jobs")
    expect(page).to_have_url(f"{server.address}/sign-in?next=%2Fjobs")
    context.close()


def test_a_job_is_followed_paused_cancelled_and_submitted_again(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    program = (
        "import time\nfor i in range(10000):\n  print('line', i, flush=True)\n  time.sleep(0.05)\n"
    )
    id = submit(server, "long <b>log</b>", program, tmp_path)
    with signed_in(browser, server) as page:
        page.get_by_role("link", name="long <b>log</b>").click()
        log = page.get_by_role("region", name="Log", exact=True)
        expect(log).to_contain_text("line 20\n", timeout=PATIENT)
        expect(page.locator("[data-live=state]")).to_contain_text("RUNNING")
        # The log is followed at its end, and stays where the reader has scrolled to.
        expect(log).to_contain_text("line 60\n", timeout=PATIENT)
        assert log.evaluate("view => view.scrollHeight - view.scrollTop - view.clientHeight < 30")
        log.evaluate("view => { view.scrollTop = 0 }")
        expect(log).to_contain_text("line 90\n", timeout=PATIENT)
        assert log.evaluate("view => view.scrollTop") == 0
        page.get_by_role("button", name="Pause the log").click()
        expect(page.locator("#log-state")).to_have_text("Paused")
        text = log.text_content() or ""
        # Another page shows later lines.
        other = page.context.new_page()
        other.goto(page.url)
        later = f"line {text.count('line ') + 20}\n"
        expect(other.get_by_role("region", name="Log", exact=True)).to_contain_text(
            later, timeout=PATIENT
        )
        other.close()
        assert log.text_content() == text
        page.get_by_role("button", name="Resume the log").click()
        expect(log).to_contain_text(later, timeout=PATIENT)
        lines = [
            line for line in (log.text_content() or "").splitlines() if line.startswith("line ")
        ]
        # Nothing is lost and nothing is given twice, but the last line may be cut.
        assert lines[:-1] == [f"line {number}" for number in range(len(lines) - 1)]
        page.get_by_text("Cancel job", exact=True).click()
        page.get_by_role("button", name="Cancel this job").click()
        expect(page.get_by_text("The job is being cancelled.")).to_be_visible()
        expect(page.locator("[data-live=state]")).to_contain_text("CANCELLED", timeout=PATIENT)
        expect(page.get_by_text("Cancel job", exact=True)).to_have_count(0)
        page.get_by_role("button", name="Resubmit").click()
        expect(page.get_by_text("The job was submitted again")).to_be_visible()
        expect(page.get_by_role("link", name="an earlier job")).to_have_attribute(
            "href", f"/jobs/{id}"
        )
        page.get_by_text("Cancel job", exact=True).click()
        page.get_by_role("button", name="Cancel this job").click()
        expect(page.locator("[data-live=state]")).to_contain_text("CANCELLED", timeout=PATIENT)


def until(file: Path) -> str:
    """Returns the lines of a program that wait for a file."""
    return f"import os, time\nwhile not os.path.exists({str(file)!r}):\n  time.sleep(0.05)\n"


def test_the_log_of_a_second_attempt_starts_again(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    program, shown = tmp_path / "program.py", tmp_path / "shown"
    program.write_text(f"print('the start', flush=True)\n{until(shown)}raise SystemExit(1)")
    with server.client() as client, signed_in(browser, server) as page:
        id = client.submit("twice", Program(program, []), retries=1).id
        page.goto(f"/jobs/{id}")
        log = page.get_by_role("region", name="Log", exact=True)
        expect(log).to_contain_text("the start", timeout=PATIENT)
        shown.touch()
        expect(page.locator(".timeline")).to_contain_text("attempt 2", timeout=PATIENT)
        expect(page.locator("[data-live=state]")).to_contain_text("FAILED", timeout=PATIENT)
        expect(page.locator("#pause")).to_be_hidden()
        assert (log.text_content() or "").count("the start") == 1
        page.get_by_role("link", name="All of the log").click()
        page.get_by_role("link", name="Attempt 1").click()
        expect(page.get_by_role("region", name="Log")).to_contain_text("the start")


def test_a_page_keeps_some_thousand_lines_of_a_log(
    browser: Browser, server: Server, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    program = (
        f"print('the start', flush=True)\n{until(shown)}"
        "for i in range(40000):\n  print('line', i)\nprint('the end', flush=True)\n"
    )
    id = submit(server, "lines", program, tmp_path)
    with signed_in(browser, server) as page:
        page.goto(f"/jobs/{id}")
        log = page.get_by_role("region", name="Log", exact=True)
        expect(log).to_contain_text("the start", timeout=PATIENT)
        shown.touch()
        expect(log).to_contain_text("the end", timeout=PATIENT)
        assert 4000 < (log.text_content() or "").count("\n") < 12_000
        page.get_by_role("link", name="All of the log").click()
        page.get_by_role("link", name="Start").click()
        expect(page.get_by_role("region", name="Log")).to_contain_text("line 1\n")


def test_curves_appear_while_a_fit_runs(browser: Browser, server: Server) -> None:
    params = {"epochs": 200, "numWorkers": 2, "strategy": "adag", "window": 4, "seed": 1}
    with server.client() as client, signed_in(browser, server) as page:
        estimator = Estimator("NetworkClassifier", NETWORK, params)
        id = client.submit("curves", estimator, data=Data(f"{DATA}mnist-train.parquet")).id
        page.goto(f"/jobs/{id}")
        expect(page.get_by_text("No epoch has finished yet")).to_be_visible()
        chart = page.get_by_role("img", name=re.compile("^loss over epochs"))
        expect(chart).to_be_visible(timeout=PATIENT)
        expect(page.locator("svg circle").nth(3)).to_be_attached(timeout=PATIENT)
        expect(page.get_by_role("progressbar", name="Finished epochs")).to_be_visible()
        # What is open stays open, and focus stays, when newer values come.
        page.get_by_text("Values").first.click()
        expect(page.locator("svg circle").nth(6)).to_be_attached(timeout=PATIENT)
        expect(page.locator("details.values").first).to_have_attribute("open", "")
        expect(page.locator("details.values summary").first).to_be_focused()
        client.cancel(id)
        expect(page.locator("[data-live=state]")).to_contain_text("CANCELLED", timeout=PATIENT)
        expect(page.locator("#announcement")).to_have_text("The job is now cancelled.")


def test_every_page_works_without_script(browser: Browser, server: Server, fit: str) -> None:
    with signed_in(browser, server, script=False) as page:
        page.get_by_label("Name contains").fill("mnist")
        page.get_by_label("State").select_option("Succeeded")
        page.get_by_role("button", name="Filter").click()
        page.get_by_role("link", name="mnist").click()
        expect(page.locator("[data-live=state]")).to_contain_text("SUCCEEDED")
        expect(page.get_by_role("img", name=re.compile("^loss over epochs"))).to_be_visible()
        expect(page.get_by_role("link", name="model.zip")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="summary.json").click()
        assert download.value.path().stat().st_size > 0
        page.get_by_role("link", name="All of the log").click()
        expect(page.get_by_role("region", name="Log")).to_contain_text("SparkContext")
        page.get_by_role("link", name="Tokens").click()
        page.get_by_label("Label").fill("without script")
        page.get_by_role("button", name="Make a token").click()
        token = page.locator("#new-token").text_content() or ""
        with Client(server.address, token) as client:
            assert client.me().name == "ada"
        row = page.get_by_role("row", name="without script")
        row.locator("summary").click()
        row.get_by_role("button", name="Revoke this token").click()
        expect(page.get_by_text("The token is revoked.")).to_be_visible()


def test_an_administrator_manages_users(browser: Browser, server: Server) -> None:
    with signed_in(browser, server, "root") as page:
        page.get_by_role("link", name="Users").click()
        page.get_by_label("Name").fill("no spaces please")
        page.get_by_role("button", name="Add the user").click()
        expect(page.get_by_text("Must be of at most 64 letters")).to_be_visible()
        page.get_by_label("Name").fill("eve")
        page.get_by_role("button", name="Add the user").click()
        expect(page.get_by_text("The user is added.")).to_be_visible()
        page.get_by_label("Running jobs").fill("many")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Running jobs")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Running jobs").fill("2")
        page.get_by_label("May run uploaded programs").check()
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("The user is changed.")).to_be_visible()
        expect(page.get_by_label("Running jobs")).to_have_value("2")
        page.get_by_label("Label").fill("first")
        page.get_by_role("button", name="Make a token").click()
        with Client(server.address, page.locator("#new-token").text_content() or "") as client:
            assert client.me().name == "eve" and client.me().programs


def test_a_session_that_ends_leads_to_the_form(browser: Browser, server: Server) -> None:
    server.tokens["short"] = server.command("token", "new", "--identity", "ada", "--label", "short")
    listed = server.command("token", "list", "--identity", "ada").splitlines()
    (id,) = [line.split()[0] for line in listed if line.endswith("short")]
    with signed_in(browser, server, "short") as page:
        server.command("token", "revoke", "--identity", "ada", id)
        # The list updates itself.
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=PATIENT)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_is_accessible(
    browser: Browser, server: Server, fit: str, tmp_path: Path, scheme: Scheme
) -> None:
    failing = submit(server, "failing", "raise ValueError('no rows')", tmp_path)
    with server.client() as client:
        wait(client, failing, "FAILED")
    running = submit(
        server, "running", "import time\nprint('up', flush=True)\ntime.sleep(600)", tmp_path
    )
    paths = {
        "jobs": "/jobs",
        "no-jobs": "/jobs?name=nothing",
        "fit": f"/jobs/{fit}",
        "failed": f"/jobs/{failing}",
        "running": f"/jobs/{running}",
        "log": f"/jobs/{fit}/log",
        "delete": f"/jobs/{fit}/delete",
        "tokens": "/tokens",
        "users": "/users",
        "user": "/users/ada",
        "missing": "/nothing",
        "sign-in": "/sign-in",
    }
    found = {}
    with signed_in(browser, server, "root", scheme) as page:
        for name, path in paths.items():
            page.goto(path)
            found[name] = violations(page)
            picture(page, f"{name}-{scheme}")
        page.goto("/users/ada")
        page.get_by_label("Running jobs").fill("many")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("row", name="valid").first.locator("summary").click()
        found["user-error"] = violations(page)
        picture(page, f"user-error-{scheme}")
        page.goto("/tokens")
        page.get_by_role("button", name="Make a token").click()
        found["new-token"] = violations(page)
        picture(page, f"new-token-{scheme}")
        page.goto(f"/jobs/{running}")
        page.get_by_text("Cancel job", exact=True).click()
        found["cancel"] = violations(page)
        picture(page, f"cancel-{scheme}")
        # Nothing is wider than a narrow screen.
        page.set_viewport_size({"width": 360, "height": 740})
        for name, path in paths.items():
            page.goto(path)
            picture(page, f"{name}-narrow-{scheme}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, f"{name}: {wide} pixels"
    with server.client() as client:
        client.cancel(running)
    assert not {name: text for name, text in found.items() if text}, found
