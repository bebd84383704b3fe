"""Figures and reports: labelled, repeatable, self-contained."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from matplotlib.colors import to_rgba

from ethogram.agents.simple import UniformSlates
from ethogram.envs.sessions import CascadingSession, trap
from ethogram.simulator.networks import small_world
from ethogram.simulator.recording import Record
from ethogram.simulator.report import pictures, plots, report
from ethogram.simulator.rollout import rollout
from ethogram.simulator.sites import Do
from ethogram.simulator.whatif import Effect, Ensemble, Setup, contrast, ensemble, reward_by_step

WORLD, POLICY = CascadingSession(trap()), UniformSlates(6, 2)
SETUP = Setup(WORLD, POLICY, rows=50, horizon=6)


@pytest.fixture(scope="module")
def effect():
    less = [Do("attraction", lambda p: 0.9 * p, start=2)]
    return contrast(SETUP, less, outcome=reward_by_step, seeds=range(5))


def regret():
    generator = torch.Generator().manual_seed(0)
    return {
        "ours": torch.rand(5, 3000, generator=generator).cumsum(1),
        "one seed": torch.rand(3000, generator=generator),
    }


def test_curves_have_titles_axes_legends_and_bands():
    ax = plots.curves(plots.axes("Regret", "episode", "regret (reward)"), regret())
    assert ax.get_title(loc="left") == "Regret"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("episode", "regret (reward)")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ours", "one seed"]
    assert len(ax.collections) == 1  # a band only where there are several seeds
    assert len(ax.lines[0].get_xdata()) <= plots.MOST_POINTS
    assert ax.lines[0].get_ydata()[-1] == pytest.approx(regret()["ours"].double().mean(0)[-1].item())


def test_effects_and_estimates_show_their_errors(effect):
    ax = plots.effect(plots.axes("Effect", "step", "reward"), {"less": effect})
    assert ax.lines[1].get_ydata().tolist() == pytest.approx(effect.mean.tolist())
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx((effect.mean - 2 * effect.stderr).min().item())
    ax = plots.estimates(plots.axes("Values", "value", "policy"), {"a": (1.0, 0.1), "b": (2.0, 0.2)}, truth=2.1)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_scenarios_show_medians():
    found = ensemble(SETUP, outcome=reward_by_step, seeds=range(4))
    ax = plots.scenarios(plots.axes("Rewards", "step", "reward"), found)
    assert ax.lines[0].get_ydata().tolist() == pytest.approx(found.quantiles("factual", (0.5,))[0].tolist())


def test_the_same_data_give_the_same_file(tmp_path):
    def draw(name):
        return plots.save(plots.curves(plots.axes("Regret", "episode", "regret"), regret()), tmp_path / "deep" / name)

    assert draw("a.png").read_bytes() == draw("b.png").read_bytes()
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["a.png", "b.png"]


def test_bars_have_errors_and_keep_their_colours():
    rows = {"a": ([1.0, 2.0, -1.0], [0.1, 0.2, 0.3]), "b": (torch.ones(3), torch.zeros(3))}
    ax = plots.bars(plots.axes("Averted", "age", "deaths"), ["young", "grown", "old"], rows, first=1)
    assert [bar.get_height() for bar in ax.containers[1]] == [1, 2, -1]
    assert ax.containers[1][0].get_facecolor() == to_rgba(plots.COLOURS[1])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["young", "grown", "old"]
    with pytest.raises(ValueError, match="one a group"):
        plots.bars(ax, ["young"], rows)


def test_tiles_show_areas_row_by_row():
    ax = pictures.tiles(
        plots.axes("Areas", "", ""), torch.tensor([-0.4, 2.0, -4.0, torch.nan, 3.0]), "cases", columns=3
    )
    image = ax.images[0]
    assert image.get_array()[1].tolist() == [None, 3.0, None]
    assert image.get_clim() == (-4, 4)  # of both signs: white is 0
    assert [text.get_text() for text in ax.texts] == ["0", "2", "-4", "3"]
    assert ax.figure.axes[1].get_ylabel() == "cases"
    with pytest.raises(ValueError, match="some of them finite"):
        pictures.tiles(ax, [torch.nan], "cases")


def test_a_network_shows_each_person_and_contact_once():
    contacts = small_world(30, 4, 0.1)
    day = torch.where(torch.arange(30) < 10, torch.nan, torch.arange(30.0))
    ax = pictures.network(plots.axes("Who", "", ""), contacts, day, "day", ringed=day > 25)
    edges, unknown, known = ax.collections
    assert (len(edges.get_segments()), len(unknown.get_offsets()), len(known.get_offsets())) == (60, 10, 20)
    assert known.get_array().tolist() == list(range(10, 30))
    again = pictures.network(plots.axes("Who", "", ""), contacts, day, "day")
    assert (again.collections[2].get_offsets() == known.get_offsets()).all()
    with pytest.raises(ValueError, match="a value each"):
        pictures.network(ax, contacts, day[:5], "day")


def test_panels_share_a_figure():
    axes = plots.panels(3)
    assert len({id(ax.figure) for ax in axes}) == 1


def test_a_wrong_band_is_refused():
    with pytest.raises(ValueError, match="expected 'sd' or 'stderr'"):
        plots.curves(plots.axes("t", "x", "y"), {}, band="ci")


def test_a_report_is_one_well_formed_page_that_fetches_nothing(tmp_path, effect):
    history = rollout(WORLD, POLICY, rows=10, horizon=3)
    ax = plots.curves(plots.axes("Regret <1>", "episode", "regret"), regret())
    groups = torch.arange(10) % 3
    sums = [Record("reward", reduce="sum"), Record("click", reduce="mean", by=groups), Record("action", every=2)]
    reduced = rollout(WORLD, POLICY, rows=10, horizon=3, record=sums)
    values = {
        name: torch.rand(5, 4, generator=torch.Generator().manual_seed(k)).double() for k, name in enumerate("ab")
    }
    curve, number = Ensemble(values, tuple(range(5))), Ensemble({"a": values["a"][:, 0]}, tuple(range(5)))
    paired = Effect(values["a"], values["b"], tuple(range(5)))
    parts = ["a < b", ax, effect, history, [{"policy": "<x>", "value": 1.5}], [], reduced, curve, number, paired]
    page = report({"Results": parts}, tmp_path / "r" / "report.html", title="What if & why").read_text()

    class Balanced(HTMLParser):
        open_: list = []  # noqa: RUF012

        def handle_starttag(self, tag, attrs):
            if tag not in ("img", "meta"):
                self.open_.append(tag)

        def handle_endtag(self, tag):
            assert self.open_.pop() == tag

    parser = Balanced()
    parser.feed(page)
    assert parser.open_ == []
    assert "a &lt; b" in page
    assert "<x>" not in page
    assert "What if &amp; why" in page
    assert page.count("<img") == 5  # a figure, two effects, the reduced record, an ensemble's curves
    assert 'alt="click, reward"' in page
    assert "too much for curves: action" in page
    assert f"<td>{number.mean('a'):.4g} ± {number.stderr('a'):.2g}</td>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_names_are_shown_as_they_are(tmp_path):
    """A $ begins no formula, and a name with an underscore in front stays in the legend."""
    ax = plots.axes("It costs $5", "$x", "a_$b$")
    plots.curves(ax, {"$a_": torch.rand(3, 4), "_b$": torch.rand(4)})
    assert [text.get_text().strip("\u200b") for text in ax.get_legend().get_texts()] == ["$a_", "_b$"]
    plots.bars(plots.axes("t", "x", "y"), ["$a$ and $"], {"$_": ([1.0], [0.0])})
    plots.levels(ax, {"$l$$": 0.5})
    odd = Record("reward", reduce="sum")
    plots.save(plots.estimates(plots.axes("$$", "", ""), {"$$": (1.0, 0.5)}), tmp_path / "estimates.png")
    plots.save(ax, tmp_path / "curves.png")
    history = rollout(WORLD, POLICY, rows=3, horizon=3, record=[odd])
    named = replace(history, series={"a$b $": history.series["reward"]})
    assert "a$b $" in report({"One": [named]}, tmp_path / "report.html", title="$").read_text()


def test_bands_say_what_they_are():
    def title(ax):
        return ax.get_legend().get_title().get_text()

    several, one = torch.rand(3, 4), torch.rand(4)
    assert title(plots.curves(plots.axes("", "", ""), {"a": several})) == "band: ± 1 standard deviation"
    assert title(plots.curves(plots.axes("", "", ""), {"a": several}, band="stderr")) == "band: ± 2 standard errors"
    assert title(plots.curves(plots.axes("", "", ""), {"a": one})) == ""
    outcome = Ensemble({"a": several.double()}, (0, 1, 2))
    assert title(plots.scenarios(plots.axes("", "", ""), outcome)) == "median; band: 5 % to 95 % of 3 seeds"


def test_one_step_is_a_point_with_its_interval():
    ax = plots.curves(plots.axes("", "", ""), {"a": torch.tensor([[1.0], [3.0]])})
    assert ax.lines[0].get_marker() == "o"
    (interval,) = ax.collections[0].get_segments()
    assert interval[:, 1].tolist() == pytest.approx([2 - 2**0.5, 2 + 2**0.5])


def test_a_history_draws_itself(tmp_path):
    record = ["click", Record("attraction", reduce="mean"), Record("state", every=2)]
    history = rollout(WORLD, POLICY, rows=10, horizon=6, record=record, seed=1)
    figure = history.plot()
    assert plots.save(figure, tmp_path / "history.png").stat().st_size > 1000
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["reward", "click", "attraction", "state"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == pytest.approx(history.reward.double().mean(0).tolist())
    assert len(figure.axes[2].lines) == 2  # a curve for each position
    assert [ax.get_ylabel() for ax in history.plot("state").axes] == ["mean of state"]
    with pytest.raises(LookupError, match=r"keep it by record=\['clicks'\]"):
        history.plot("clicks")
    with pytest.raises(ValueError, match=r"\['action'\] cannot be drawn as curves"):
        history.plot("action")
    with pytest.raises(TypeError, match=r"series is a History: .*history.plot\(\) draws a history"):
        plots.curves(plots.axes("", "", ""), history)


def test_reports_say_in_words_what_is_no_number(tmp_path):
    def said(factual, counterfactual):
        effect = Effect(torch.tensor(factual).double(), torch.tensor(counterfactual).double(), range(len(factual)))
        return report({"": [effect]}, tmp_path / "report.html", title="").read_text()

    assert "it is the same in every pair" in said([1.0, 2.0], [2.0, 3.0])
    assert "no interval from one pair" in said([1.0], [2.0])
    for page in (said([1.0, 2.0], [2.0, 3.0]), said([1.0], [2.0]), said([0.0, 0.0], [-0.0, -0.0])):
        assert not re.search(r"\b(nan|inf)\b|-0[ <]", page.partition("<body>")[2])
    history = rollout(WORLD, POLICY, rows=1, horizon=3)
    page = report({"": [history, plots.panels(3, columns=3)[0]]}, tmp_path / "report.html", title="").read_text()
    assert "(no interval from one row)" in page
    assert 'width="1498"' in page  # 15.6 inches, so that letters are as large as the text's


def test_a_screen_needs_a_kind_and_a_text_for_each_box():
    boxes, kinds = [[0.1, 0.1, 0.9, 0.2], [0.1, 0.3, 0.9, 0.4]], ["text", "button"]
    ax = pictures.screen(plots.axes("", "", ""), boxes, kinds, ["$5", "Pay"])
    assert [text.get_text() for text in ax.texts] == ["$5", "Pay"]
    assert ax.get_ylim() == (1, 0)  # the origin is top left
    with pytest.raises(ValueError, match="2 boxes, 2 kinds and 1 texts"):
        pictures.screen(ax, boxes, kinds, ["Pay"])
