"""A report in a headless Chromium: keys, links, filter, text that stays text, and a thousand steps."""

import html
import json
import re
import shutil
import subprocess

import pytest
import torch
from recorded import ODD, Words, judged, on_screens

from ethogram.agents.simple import Fixed
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator import rollout
from ethogram.simulator.report import report

BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on the PATH to open pages in")

ASK = """
<script>
const errors = [], press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const later = () => new Promise((done) => setTimeout(done, 200)), one = (name) => document.querySelector(name);
const at = () => location.hash + " " + one("[aria-current=true] b").textContent;
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
addEventListener("load", async () => {
  let found;
  try { found = await (async () => { %s })(); } catch (error) { errors.push(String(error)); }
  document.body.textContent = JSON.stringify({found, errors});
});
</script></head>"""


def ask(page, script, size=(1280, 900), link=""):
    """What a script on the page returns; fails for errors of the page, and for what its own rules forbid."""
    asking = page.with_name("asking.html")
    asking.write_text(page.read_text().replace("</head>", ASK % script, 1))
    flags = ["--no-sandbox", "--disable-gpu", "--headless", f"--window-size={size[0]},{size[1]}", "--dump-dom"]
    command = [BROWSER, *flags, "--virtual-time-budget=20000", f"{asking.as_uri()}{link}"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    told = json.loads(html.unescape(re.search(r"<body>(.*)</body>", run.stdout, re.S)[1]))
    assert told["errors"] == []
    assert "CONSOLE" not in run.stderr
    return told["found"]


def test_keys_walk_steps_and_episodes_and_the_address_follows(tmp_path):
    page = report(judged(), tmp_path / "a.html", world=Words())
    walk = (
        "['j', 'ArrowRight', 'k', 'ArrowLeft', 'End', 'Home', 'n', 'n', 'p'].map((key) => { press(key); return at(); })"
    )
    assert ask(page, f"return {walk}") == [
        *("#0/1 1", "#0/2 2", "#0/1 1", "#0/0 0", "#0/4 end", "#0/0 0"),
        *("#1/0 0", "#1/0 0", "#0/0 0"),
    ]


def test_a_link_opens_its_episode_and_step_and_a_wrong_one_the_first(tmp_path):
    page = report(judged(), tmp_path / "a.html", world=Words())
    assert ask(page, "return at()", link="#1/2") == "#1/2 2"
    assert ask(page, "return at()", link="#9/2").endswith(" 0")
    assert ask(page, "location.hash = '#1/3'; await later(); return at()") == "#1/3 3"


def test_help_opens_and_keys_in_a_field_are_letters(tmp_path):
    page = report(judged(), tmp_path / "a.html", world=Words())
    script = """
    press("?"); const open = one("dialog").open; press("j"); const still = at(); press("?");
    press("/"); const focused = document.activeElement.type;
    document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
    return [open, still, one("dialog").open, focused, at()];
    """
    assert ask(page, script) == [True, " 0", False, "search", " 0"]


def test_episodes_are_filtered_sorted_and_opened(tmp_path):
    page = report(on_screens(rows=5), tmp_path / "a.html", world=Words(), by={"distance": torch.arange(5) % 2})
    script = """
    const cells = () => [...document.querySelectorAll("tbody tr[data-index]")].map((row) => row.cells[0].textContent);
    const rows = () => cells().join("");
    const found = [rows()], field = one("input");
    field.value = "FAILURE"; field.dispatchEvent(new Event("input")); found.push(rows());
    field.value = ""; field.dispatchEvent(new Event("input"));
    one(".list th button").click(); one(".list th button").click(); found.push(rows());
    one("tbody tr[data-index]").click(); found.push(at()); press("n"); found.push(at());
    return found;
    """
    assert ask(page, script) == ["01234", "4", "43210", "#4/0 0", "#3/0 0"]


def test_what_is_shown_of_a_step(tmp_path):
    page = report(judged(), tmp_path / "a.html", world=Words(), title=ODD)
    script = """
    press("End"); press("k"); await later();
    const count = (what) => document.querySelectorAll(what).length;
    return {text: one(".film").innerText, title: document.title, words: one(".goal").textContent, bold: count("b"),
      frames: count(".frame"), saw: count(".frame.saw"), dropped: count(".frame.dropped"),
      target: count(".step .target"), reference: count(".step .ref")};
    """
    found = ask(page, script)
    assert found["title"] == ODD
    assert found["words"] == f"Goal: Find {ODD}"
    assert found["bold"] == found["frames"] == 5  # the numbers of the frames, and no more
    assert (found["saw"], found["dropped"]) == (2, 1)
    assert (found["target"], found["reference"] >= 1) == (1, True)
    for part in ("✗ match/strict", "✓ match/loose", "steps 0, 2; 1 of 3 dropped", "tap on 'Go'", "0.750", "↺"):
        assert part in found["text"]


@pytest.mark.parametrize("size", [(1280, 900), (400, 800)])
def test_a_thousand_steps_are_drawn_as_they_come_into_view(tmp_path, size):
    history = on_screens(tuple(k % 7 for k in range(1001)), rows=1)
    page = report(history, tmp_path / "a.html", world=Words())
    assert page.stat().st_size < 600_000
    script = """
    const drawn = () => document.querySelectorAll(".frame svg").length;
    const first = drawn(); press("End"); await later();
    return [first, drawn(), at(), document.documentElement.scrollWidth <= innerWidth];
    """
    first, then, place, fits = ask(page, script, size)
    assert 9 <= first < then < 100
    assert (place, fits) == ("#0/1000 end", True)


def test_two_films_on_a_page_have_links_of_their_own(tmp_path):
    session = rollout(CascadingSession(trap()), Fixed([0, 1]), rows=3, horizon=4, seed=0, record=["click"])
    page = report({"One": ["words", session], "Two": [session]}, tmp_path / "a.html")
    script = """
    const numbers = [...document.querySelectorAll("[aria-current=true] b")].map((b) => b.textContent).join(" ");
    press("j"); return [numbers, location.hash];
    """
    assert ask(page, script, link="#1:2/3") == ["0 3", "#1:2/3"]
    assert ask(page, script) == ["0 0", "#0:0/1"]
