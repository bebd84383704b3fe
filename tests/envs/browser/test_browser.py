"""A browser under our clock: pages side by side, no network, no orphans, no waiting for ever."""

import contextlib
import gzip
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from ethogram.envs.browser import (
    Browser,
    BrowserError,
    BrowserGui,
    Demo,
    Page,
    Request,
    find_browser,
    html_page,
    load_demos,
    miniwob,
    miniwob_fields,
    miniwob_tasks,
    replay_demos,
    texts,
)
from ethogram.envs.gui import TYPES, GuiAction
from ethogram.simulator import Draws, FromGym, Sites, rollout
from ethogram.simulator.report import report


def _here() -> str:
    try:
        return find_browser()
    except FileNotFoundError:
        return ""


pytestmark = pytest.mark.skipif(not _here(), reason="no Chromium: `apt-get install chromium-headless-shell`")


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def tasks():
    try:
        return miniwob_tasks()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def page_of(browser, tmp_path, body, name="app.html"):
    file = tmp_path / name
    file.write_text(f"<!DOCTYPE html><body style='margin:0'>{body}", encoding="utf-8")
    return Page(browser, html_page(file))


def run(page, work):
    result = page.browser.together([(page.session, work)])[0]
    if isinstance(result, Exception):
        raise result
    return result


def value(page, script):
    return run(page, page._evaluate(script))


def middle(page, selector):
    return value(
        page,
        f"(r => [(r.left + r.right) / 2, (r.top + r.bottom) / 2])"
        f"(document.querySelector('{selector}').getBoundingClientRect())",
    )


def act(page, kind, selector=None, **parameters):
    at = middle(page, selector) if selector else None
    point = (0.5, 0.5) if kind in ("tap", "double_tap", "long_press", "hover") else None
    return run(page, page.do(GuiAction(kind, point, **parameters), at, 100))


def processes_of(program_flag: str) -> list[int]:
    """Processes whose command line holds a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if program_flag.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(text: str, folder: str | None = None, seconds: float = 15) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not processes_of(text) and not (folder and os.path.exists(folder)):
            return True
        time.sleep(0.05)
    return False


def test_a_browser_that_is_not_there_is_an_error_that_says_what_to_install(monkeypatch):
    with pytest.raises(FileNotFoundError, match="apt-get install chromium-headless-shell"):
        find_browser("/nowhere/chromium")
    monkeypatch.setenv("ETHOGRAM_BROWSER", "no-such-program")
    with pytest.raises(FileNotFoundError, match="'no-such-program'"):
        find_browser()
    monkeypatch.delenv("ETHOGRAM_BROWSER")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(FileNotFoundError, match="none of chromium-headless-shell"):
        find_browser()
    with pytest.raises(BrowserError, match=r"/bin/false did not begin"):
        Browser("/bin/false")


def test_closing_leaves_no_process_and_no_profile():
    browser = Browser()
    profile = browser._profile
    assert processes_of(profile)
    browser.close()
    browser.close()
    assert gone(profile, profile, 5)
    with pytest.raises(BrowserError, match="closed"):
        browser.ask("Browser.getVersion")


def test_a_killed_parent_leaves_no_process_and_no_profile(tmp_path):
    program = (
        "import time\nfrom ethogram.envs.browser import Browser\nbrowser = Browser()\n"
        "print(browser._profile, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        profile = parent.stdout.readline().strip()
        assert processes_of(profile)
        parent.send_signal(signal.SIGKILL)
    assert gone(profile, profile)


def test_a_killed_program_leaves_pages_in_the_cache_alone_and_the_next_finds_them(tasks, tmp_path):
    program = (
        "import time\nfrom ethogram.envs.browser import miniwob\n"
        "print(miniwob('click-test').url, flush=True)\ntime.sleep(600)"
    )
    (tmp_path / "temporary").mkdir()
    folders = {"TMPDIR": str(tmp_path / "temporary"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    urls, made = [], []
    for _ in range(2):
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | folders) as process:
            urls.append(process.stdout.readline().strip())
            process.send_signal(signal.SIGKILL)
        made.append([file.stat().st_mtime_ns for file in (tmp_path / "cache").rglob("click-test.html")])
    assert urls[0] == urls[1]
    assert urls[0].startswith((tmp_path / "cache").as_uri())
    assert made[0] == made[1]
    assert len(made[0]) == 1
    assert len(list((tmp_path / "cache" / "ethogram").iterdir())) == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_look_keeps_lines_quotes_and_signs_of_goals_and_of_texts(browser, tmp_path):
    page = page_of(
        browser,
        tmp_path,
        "<script>window.ethogram = {goal: 'two\\nlines, \"said\"', reward: -0.25}</script>"
        "<p id=p></p><textarea id=t></textarea><script>p.textContent = 'a' + '\\u{1F600}'.repeat(300);"
        "t.value = 'one\\n\\ntwo, 3'</script>",
    )
    seen = run(page, page.do(GuiAction("noop"), None, 1))
    assert (seen[1].goal, seen[1].reward, seen[1].done) == ('two\nlines, "said"', -0.25, False)
    (_, _, _, _, _, _, _, faces, _), (left, top, right, bottom, _, _, parent, _, value_) = seen[1].elements
    assert faces.startswith("a\U0001f600")
    assert len(faces.encode("utf-16-le")) == 2 * 256  # the half of a sign that is cut is a sign of its own
    assert (value_, parent) == ("one two, 3", 0)
    assert left < right
    assert top < bottom


def test_a_page_reaches_files_and_nothing_else(browser, tmp_path):
    asked = []

    class Told(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "beside.js").write_text("window.beside = 1")
    there = f"127.0.0.1:{server.server_port}"
    page = page_of(
        browser,
        tmp_path,
        f"<img src='http://{there}/img'><link rel=stylesheet href='http://localhost:{server.server_port}/css'>"
        f"<script src='beside.js'></script><a id=away href='http://{there}/away'>away</a><script>"
        f"fetch('http://{there}/fetch').catch(() => 0); navigator.sendBeacon('http://{there}/beacon', 'x');"
        f"new WebSocket('ws://{there}/socket'); new Image().src = 'http://{there}/image';</script>",
    )
    assert value(page, "window.beside") == 1
    act(page, "wait", ms=500)
    with contextlib.suppress(BrowserError):  # the page that is not reached has nothing to look at
        act(page, "tap", "#away")
    time.sleep(0.5)
    server.shutdown()
    assert asked == []


def test_what_is_done_is_trusted_and_does_what_it_says(browser, tmp_path):
    rows = "".join(f"<li>row {k}</li>" for k in range(20))
    page = page_of(
        browser,
        tmp_path,
        "<select id=s><option>a<option>b<option disabled>no<option>d</select><input id=i value=old>"
        f"<ul id=u style='height:60px;overflow:auto'>{rows}</ul><div id=d>target</div><textarea id=t></textarea>"
        "<select id=m multiple size=3><option>x<option>y<option>z</select><style>#d:hover{color:red}</style>"
        "<script>window.log = []; for (const k of ['click', 'dblclick', 'change', 'mousemove', 'mouseup', 'keydown'])"
        " addEventListener(k, e => log.push([k, e.target.id, e.isTrusted, e.key]), true)</script>",
    )

    def happened(kind):
        events = value(page, "log.splice(0)")
        assert all(trusted for _, _, trusted, *_ in events)
        return [event[1] for event in events if event[0] == kind]

    act(page, "tap", "#d")
    assert happened("click") == ["d"]
    act(page, "double_tap", "#d")
    assert happened("dblclick") == ["d"]
    act(page, "hover", "#d")
    assert value(page, "getComputedStyle(d).color") == "rgb(255, 0, 0)"
    for wanted in ("d", "a", "b"):
        assert act(page, "select", "#s", text=wanted)[0] == ""
        assert (value(page, "s.value"), happened("change")) == (wanted, ["s"])
    assert "no option 'no'" in act(page, "select", "#s", text="no")[0]
    assert "no select" in act(page, "select", "#d", text="a")[0]
    act(page, "select", "#m", text="z")
    assert value(page, "m.value") == "z"
    act(page, "type", "#i", text="Hello, Wörld 9!", clear=True)
    assert value(page, "i.value") == "Hello, Wörld 9!"
    for key in ("Control+a", "Control+c"):
        act(page, "press", key=key)
    act(page, "tap", "#t")
    act(page, "press", key="Control+v")
    act(page, "press", key="Shift+1")
    assert value(page, "t.value") == "Hello, Wörld 9!!"
    act(page, "scroll", "#u", direction="down")
    assert value(page, "u.scrollTop") == 270
    run(page, page.do(GuiAction("drag", (0.1, 0.1), (0.5, 0.9)), None, 100))
    assert happened("mouseup")


def test_the_clock_of_a_page_moves_with_actions_alone(browser, tmp_path):
    page = page_of(
        browser,
        tmp_path,
        "<script>window.ticks = window.frames_ = 0; setInterval(() => ticks++, 10);"
        "(function frame() { frames_++; requestAnimationFrame(frame); })();"
        "addEventListener('click', e => window.told = [e.timeStamp, performance.now()])</script>",
    )
    run(page, page.begin(0))
    clock = "[performance.now(), Date.now(), ticks, frames_]"
    before = value(page, clock)
    time.sleep(0.3)
    assert value(page, clock) == before
    act(page, "wait", ms=900)  # and 100 as every action
    after = value(page, clock)
    moved = [b - a for a, b in zip(before, after, strict=True)]
    assert moved[:2] == pytest.approx([1000, 1000], abs=2)
    assert moved[2] == pytest.approx(100, abs=1)
    assert moved[3] == pytest.approx(60, abs=2)
    run(page, page.do(GuiAction("tap", (0.5, 0.5)), (100, 100), 100))
    stamp, now = value(page, "told")
    assert stamp == now


def test_a_dialog_does_not_hold_up_a_page_and_a_link_leads_on_and_back(browser, tmp_path):
    (tmp_path / "next.html").write_text("<body>the next")
    page = page_of(browser, tmp_path, "<button onclick='window.said = confirm()'>b</button><a href='next.html'>on</a>")
    act(page, "tap", "button")
    assert value(page, "said") is True
    _, seen = act(page, "tap", "a")
    assert [element[7] for element in seen.elements] == ["the next"]
    _, seen = act(page, "back")
    assert [element[7] for element in seen.elements] == ["b", "on"]
    assert "no page to go back to" in act(page, "back")[0]
    assert "no home" in act(page, "home")[0]


def test_a_page_of_ones_own_tells_its_goal_its_reward_and_its_end(tmp_path):
    (tmp_path / "counter.html").write_text(
        "<body style='margin:0'><button style='width:100px;height:40px' onclick='n++'>more</button><script>let n, m;"
        "window.ethogram = {reset(seed) { n = 0; m = seed % 3 + 1; }, get goal() { return `press ${m} times`; },"
        "get reward() { return n; }, finish(status, text) { this.done = true; if (text === 'enough') n += 10; },"
        "get done() { return n > m || !!this.over; }, set done(over) { this.over = over; }}</script>"
    )
    env = gymnasium.make("ethogram/GuiPage-v0", path=tmp_path / "counter.html", width=200, height=100)
    seen, _ = env.reset(seed=1)
    times = int(seen["goal"].split()[1])
    assert texts(seen) == ["more"]
    np.testing.assert_allclose(seen["box"][0], [0, 0, 0.5, 0.4])
    action = env.action_space.sample() | {"type": TYPES.index("tap"), "element": 1}
    rewards, ended = zip(*[env.step(action)[1:3] for _ in range(times)], strict=True)
    assert rewards == (1.0,) * times
    assert not any(ended)
    seen, reward, terminated, truncated, info = env.step(action | {"type": 15, "text": "enough", "status": 1})
    assert (reward, terminated, truncated, info["reason"]) == (10, True, False, "")


def test_click_test_2_is_won_by_tapping_one_and_side_by_side_as_alone(tasks):
    envs = gymnasium.make_vec("ethogram/MiniWoB-v0", num_envs=3, task="click-test-2")
    seen, _ = envs.reset(seed=5)
    alone = gymnasium.make("ethogram/MiniWoB-v0", task="click-test-2")
    action = envs.action_space.sample()
    action["type"][:] = TYPES.index("tap")
    for row in range(3):
        one, _ = alone.reset(seed=5 + row)
        for name, part in one.items():
            np.testing.assert_array_equal(seen[name][row], part)
        action["element"][row] = 1 + texts(one).index("ONE")
    after, reward, terminated, _, _ = envs.step(action)
    assert terminated.all()
    assert set(reward) <= {1.0, -1.0}  # buttons may overlap
    assert "ONE" in after["text"][0]  # the last screen is still there


def test_a_browser_killed_in_mid_step_truncates_with_the_reason(tasks):
    env = gymnasium.make("ethogram/MiniWoB-v0", task="click-test")
    seen, _ = env.reset(seed=0)
    pool = env.unwrapped.world.pool
    os.killpg(pool.browser.process, signal.SIGKILL)
    wait = env.action_space.sample() | {"type": 0, "element": 0}
    after, reward, terminated, truncated, info = env.step(wait)
    assert (reward, terminated, truncated) == (0, False, True)
    assert "the browser is gone" in info["reason"]
    assert after["text"] == seen["text"]
    again, _ = env.reset(seed=0)  # in another browser
    assert again["text"] == seen["text"]


def test_a_page_that_hangs_truncates_with_the_reason(tmp_path):
    (tmp_path / "hangs.html").write_text("<button style='width:100%;height:500px' onclick='for(;;);'>b</button>")
    env = gymnasium.make("ethogram/GuiPage-v0", path=tmp_path / "hangs.html", deadline=3.0)
    env.reset(seed=0)
    tap = env.action_space.sample() | {"type": 1, "element": 1}
    assert env.step(tap)[3]
    assert env.reset(seed=0)[0]["text"] == "b"


def test_sessions_are_recorded_told_in_words_and_a_state_can_be_stepped_twice(tasks, tmp_path):
    world = BrowserGui(miniwob("click-button"))

    class TapsWhatTheGoalNames:
        def act(self, observation, history, draws):
            from ethogram.envs.gui import GuiActions

            wanted = []
            for row, goal in enumerate(observation["goal"]):
                names = texts({name: part[row] for name, part in observation.items()})
                element = next(k for k, name in enumerate(names, 1) if name and f'"{name}"' in goal)
                wanted.append(GuiAction("tap", element=element))
            return GuiActions.of(wanted)._asdict()

    history = rollout(world, TapsWhatTheGoalNames(), rows=3, horizon=2, seed=1)
    assert history.reward.sum(1).tolist() == [1.0] * 3
    told = report(history, tmp_path / "report.html", world=world).read_text()
    assert "tap on '" in told
    assert '"button"' in told
    assert len(FromGym(lambda: gymnasium.make("ethogram/MiniWoB-v0", task="click-test")).observation_space) == 10
    world.close()


def test_requests_that_the_browser_refuses_name_the_command(browser):
    with pytest.raises(BrowserError, match=r"No\.such"):
        browser.ask("No.such")
    assert Request("a", {}).event is None


@pytest.mark.slow
def test_every_page_loads_begins_is_seen_and_repeats_itself_by_its_seed(browser, tasks):
    moving = {"stock-market"}  # its price goes on by the page's own chance
    different = set()
    assert len(tasks) == 130
    for task in tasks:
        page = Page(browser, miniwob(task))
        seen = [run(page, page.begin(seed)) for seed in (7, 8, 7)]
        assert all(one.goal and one.elements and not one.done for one in seen), task
        if seen[0] != seen[2]:
            different.add(task)
        page.close()
    assert different <= moving


def test_the_environment_is_one_by_gymnasiums_checker_and_ours(tasks):
    env = gymnasium.make("ethogram/MiniWoB-v0", task="click-button", render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    env.reset(seed=0)
    assert env.render().shape[2] == 3
    env.close()
    world = BrowserGui(miniwob("click-test-2"), pixels=True)
    _, seen = world.reset(Draws(0, torch.arange(2), scope="world"), Sites())
    assert seen["pixels"].shape == (2, 210, 160, 3)
    assert seen["pixels"].float().std() > 10
    world.close()


def test_an_element_that_is_gone_and_a_key_that_is_none_do_nothing_and_say_so(tasks):
    env = gymnasium.make("ethogram/MiniWoB-v0", task="click-test-2")
    seen, _ = env.reset(seed=0)
    action = env.action_space.sample() | {"type": 1, "element": 9}
    after, reward, terminated, truncated, info = env.step(action)
    assert (reward, terminated, truncated) == (0, False, False)
    assert info["problem"] == "there is no element 9: the screen has 2"
    assert after["text"] == seen["text"]
    with pytest.raises(ValueError, match="expected"):
        env.step(action | {"key": 10**6})
    for text in ("\0", "a" * 257, 7):
        with pytest.raises(ValueError, match="expected an element of Text"):
            env.step(action | {"text": text})
    env.close()


def test_wrong_tasks_pages_and_demonstrations_are_refused_by_name(tasks, tmp_path):
    with pytest.raises(ValueError, match=r"task is 'click-tset': expected one of 130 .*click-test"):
        miniwob("click-tset")
    with pytest.raises(FileNotFoundError, match="pip download"):
        miniwob("click-test", pages=tmp_path)
    goal = 'Enter the username "alan" and the password "8G" into the text fields and press login.'
    assert miniwob_fields("login-user", goal) == {"username": "alan", "password": "8G"}
    with pytest.raises(ValueError, match="goal is 'Click': expected one of login-user"):
        miniwob_fields("login-user", "Click")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        html_page(tmp_path / "none.html")
    with pytest.raises(ValueError, match="time_limit is 0"):
        miniwob("click-test", time_limit=0)
    demo = Demo("episode 7", "click-nothing", "Click", ({"t": 1, "action": {"type": "scroll"}},), 1.0)
    with pytest.raises(ValueError, match="episode 7 is of task 'click-nothing'"):
        next(replay_demos([demo]))
    with gzip.open(tmp_path / "demos.jsonl.gz", "wt") as lines:
        lines.write('{"episode_id": "a", "task": "b", "goal": "c", "steps": [], "raw_reward": 1}\n{"task": 1}\n')
    with pytest.raises(ValueError, match="line 2, is no episode"):
        load_demos(tmp_path / "demos.jsonl.gz")


def test_a_time_limit_is_of_the_pages_clock(tasks):
    env = gymnasium.make("ethogram/MiniWoB-v0", task="click-button", time_limit=1000, pace=400.0)
    env.reset(seed=0)
    wait = env.action_space.sample() | {"type": 0}
    ends = [env.step(wait)[1:3] for _ in range(3)]
    assert ends == [(0, False), (0, False), (-1, True)]
    env.close()


@pytest.mark.slow
def test_people_who_succeeded_succeed_again_where_the_goal_is_the_same(tasks):
    """Fourteen tasks in which the workflow and the goal say all there is to say."""
    sure = {
        *("choose-list", "click-test", "click-test-2", "enter-text", "use-spinner", "click-checkboxes-transfer"),
        *("choose-date-easy", "click-collapsible-nodelay", "click-dialog-2", "click-menu", "click-option", "click-tab"),
        *("enter-password", "grid-coordinate"),
    }
    try:
        demos = load_demos()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    first = {demo.task: demo for demo in reversed(demos) if demo.raw_reward == 1 and demo.steps and demo.task in sure}
    played = [one for one in replay_demos(list(first.values())) if one.how == "exact"]
    assert len(played) >= 7
    assert [one for one in played if one.reward != 1] == []


def test_pointer_events_keep_fractions_of_pixels_and_two_taps_are_no_double_tap(browser, tmp_path):
    page = page_of(
        browser,
        tmp_path,
        "<div id=d style='height:200px'></div><script>window.log = [];"
        "for (const k of ['pointerdown', 'mousedown', 'click', 'dblclick'])"
        " d.addEventListener(k, e => log.push([k, e.clientX, e.detail]))</script>",
    )
    tap = GuiAction("tap", (0.5, 0.5))
    run(page, page.do(tap, (20.75, 100.0), 1))
    assert value(page, "log.splice(0)") == [["pointerdown", 20.75, 0], ["mousedown", 20, 1], ["click", 20, 1]]
    run(page, page.do(tap, (20.0, 100.0), 1))
    assert [kind for kind, *_ in value(page, "log.splice(0)")] == ["pointerdown", "mousedown", "click"]
    run(page, page.do(GuiAction("double_tap", (0.5, 0.5)), (20.0, 100.0), 1))
    assert value(page, "log.splice(0)")[-1] == ["dblclick", 20, 2]
