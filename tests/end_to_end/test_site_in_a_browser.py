"""The interactive leaderboard in a real browser, opened from disk as people do."""

import csv
import re
import shutil
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest
from site_results import MadeResults, describe_models, make_smiles

from boomlib.evaluation.summary import read_metrics
from boomlib.report.build import write_markdown
from boomlib.report.numbers import format_number
from boomlib.report.publish import link_site
from boomlib.report.site.build import write_site
from boomlib.report.site.drawings import locate
from boomlib.report.site.files import PAGES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><b>bold</b>"
LOST = "made/hof/kde/model1/seed0"
WIDTHS = {"wide": 1400, "narrow": 400}
SETTLED = """() => [...document.querySelectorAll('.chart')]
    .every((each) => !each.offsetParent || each.querySelector('.main-svg, .hint'))"""


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def make(folder, **changed):
    """Made-up results with their page and their site."""
    made = MadeResults(
        folder / "results", **{"models": describe_models(5), "lost": {LOST: "no luck"}, "placed": True} | changed
    )
    made.make(make_smiles(140))
    write_site(*made.tables, made.folder / "site/index.html", **made.described)
    write_markdown(*made.tables, made.folder / "leaderboard.md", **made.described)
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("made"))


class Visit:
    """A page that is open, with all that went wrong in it and all that left it."""

    def __init__(self, chromium, made, width=1400, dark=False):
        scheme = "dark" if dark else "light"
        self.context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            accept_downloads=True,
            reduced_motion="reduce",
        )
        self.site, self.wrong, self.left = made.folder / "site", [], []
        self.context.on("request", lambda request: self.left.append(request.url))
        self.page = self.watch(self.context.new_page())

    def watch(self, page):
        page.on("console", lambda message: self.wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        return page

    def open(self, name, state="", page=None):
        """Open a page of the site, and wait until its charts are there."""
        page = page or self.page
        page.goto("about:blank")
        page.goto(f"{(self.site / name).as_uri()}{'#' if state else ''}{state}")
        page.wait_for_function("document.querySelector('#footer').childElementCount > 0")
        page.wait_for_function("document.documentElement.dataset.ready || !document.querySelector('.chart')")
        for place in page.locator("[data-drawn]:visible").all():  # what is drawn once it comes near
            place.scroll_into_view_if_needed()
            page.wait_for_function("place => place.dataset.drawn === 'yes'", arg=place.element_handle())
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_function(SETTLED, timeout=60_000)
        return page


@pytest.fixture
def visit(chromium, made):
    """A visit that must have gone without an error and without a request to anywhere."""
    visit = Visit(chromium, made)
    yield visit
    assert visit.wrong == []
    assert [url for url in visit.left if urlsplit(url).scheme not in ("file", "data", "blob", "about")] == []
    visit.context.close()


def read_table(page, place):
    """The cells of a table as text, the header first."""
    return page.eval_on_selector_all(
        f"#{place} tr", "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    )


def names(page):
    return [row[0] for row in read_table(page, "board")[1:]]


def state_of(page):
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).fragment, keep_blank_values=True).items()}


def read_markdown(text, heading):
    """The table below a heading of the Markdown page: rows of cells without marks, the header first."""
    section = text.split(f"{heading}\n", 1)[1]
    table = re.search(r"(^\|.*\n)+", section, re.MULTILINE).group(0)
    rows = [line.strip("| ").split("|") for line in table.splitlines()]
    return [[cell.strip().strip("*") for cell in row] for row in rows[:1] + rows[2:]]


# ---- the overview ------------------------------------------------------------------------------------------------


def test_a_header_sorts(visit):
    page = visit.open("index.html")
    assert names(page)[-2:] == ["Model 1", "Oracle"]  # that lacks a task, and the control
    page.get_by_role("button", name="made/gap").click()
    by_gap = [float(row[-1]) for row in read_table(page, "board")[1:-1]]
    assert by_gap == sorted(by_gap)
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("made/gap")
    page.get_by_role("button", name="made/gap").click()
    assert [float(row[-1]) for row in read_table(page, "board")[1:-1]] == by_gap[::-1]
    assert names(page)[-1] == "Oracle"  # a control is never ranked
    page.get_by_role("button", name="made/hof").click()
    assert names(page)[-2] == "Model 1"  # nor does what is lacking count as good


def test_filters_and_a_search_choose_models(visit):
    page = visit.open("index.html")
    page.get_by_text("Filter models").click()
    page.get_by_role("group", name="Family").get_by_label("gnn").uncheck()
    assert names(page) == ["Model 3", "Model 1", "Oracle"]
    page.get_by_label("Controls").uncheck()
    page.get_by_label("Find a model").fill("3")
    assert names(page) == ["Model 3"]
    assert state_of(page) == {"family": "tabular", "controls": "", "find": "3"}
    page.get_by_role("button", name="Reset").click()
    assert len(names(page)) == 6


def test_what_the_address_asks_for_and_is_not_here_is_said_and_corrected(visit):
    page = visit.open("index.html", "family=nope+gnn&metric=none&sort=nope&weights=x:3")
    assert page.locator("#astray p").all_inner_texts() == [
        "Not here: metric “none”. This is rmse.",
        "Not here: weights “x:3”.",
        "Not here: sort “nope”. This is rank.",
        "Not here: family “nope”.",
    ]
    assert state_of(page) == {"family": "gnn"}
    page = visit.open("model.html", "model=nope")
    assert "Not here: model “nope”. This is model0." in page.locator("#astray").inner_text()
    page.get_by_label("Model", exact=True).select_option("model1")
    assert page.locator("#astray").is_hidden()
    page = visit.open("task.html", "task=made/hof&models=model1+nope")
    assert page.locator("#astray").inner_text() == "No predictions of this task: Model 1, nope."
    page = visit.open("task.html", f"task=made/gap&models={'+'.join(f'model{at}' for at in range(5))}")
    assert page.locator("#astray").inner_text() == "4 models at most are shown; left out: Model 4."
    for name in ("cost.html", "policy.html"):
        page = visit.open(name, "sort=nope")
        assert "Not here: sort “nope”" in page.locator("#astray").inner_text()
    page = visit.open("index.html", "find=zzz&controls=")
    assert "No model fits these filters." in page.locator("#board").inner_text()


def test_a_set_of_filters_keeps_its_last_box_and_one_with_a_single_box_is_not_shown(visit):
    page = visit.open("index.html")
    page.get_by_text("Filter models").click()
    family = page.get_by_role("group", name="Family")
    family.get_by_label("gnn").uncheck()
    assert family.get_by_label("tabular").is_disabled()
    assert page.get_by_role("group", name="Made").count() == 0  # all are made here
    page.get_by_text("Tasks and weights").click()
    page.get_by_label("made/hof: property hof").uncheck()
    assert page.get_by_label("made/gap: property gap").is_disabled()


def test_a_click_behind_a_typed_weight_counts_and_weights_have_limits(visit):
    page = visit.open("index.html")
    page.get_by_text("Tasks and weights").click()
    weight = page.get_by_label("Weight of made/gap")
    weight.fill("1e9")
    page.get_by_role("button", name="made/hof").click()
    assert state_of(page) == {"weights": "made/gap:100", "sort": "made/hof"}
    assert weight.input_value() == "100"
    weight.fill("")  # as if nothing had been said
    weight.press("Tab")
    assert weight.input_value() == "1"
    assert page.evaluate("document.activeElement !== document.body")
    for name in ("made/gap", "made/hof"):
        page.get_by_label(f"Weight of {name}").fill("0")
    assert page.locator("#weight-count").inner_text() == "all weights are 0: nothing to rank by"


def test_one_model_that_is_far_off_leaves_the_others_apart(visit):
    page = visit.open("index.html")
    page.evaluate(
        "BOOM.load('board').then(board => { for (const [at, name] of Object.keys(board.models).entries())"
        " { const cell = board.schemes.kde.values.ood.rmse[name][1];"
        " if (cell) cell[0] = at === 1 ? 1000 : 1 + at / 10; } })"
    )
    page.get_by_label("Heat-map").uncheck()
    page.get_by_label("Heat-map").check()
    shades = page.eval_on_selector_all(
        "#board td.task:last-child[style]", "cells => cells.map(each => Number(each.style.getPropertyValue('--good')))"
    )
    assert len({round(each, 1) for each in shades}) > 2


@pytest.mark.parametrize("fold", ["ood", "id"])
def test_ones_own_ranking_is_a_weighted_geometric_mean(visit, made, fold):
    page = visit.open("index.html", f"fold={fold}")
    page.get_by_text("Tasks and weights").click()
    page.get_by_label("Weight of made/gap").fill("3")
    page.get_by_label("Weight of made/gap").press("Tab")
    table = read_metrics(made.tables[0])
    chosen = table[(table["metric"] == "normalised_rmse") & (table["fold"] == fold) & (table["scheme"] == "kde")]
    errors = chosen.pivot(index="model", columns="property", values="mean")
    with np.errstate(divide="ignore"):
        expected = np.exp((np.log(errors["hof"]) + 3 * np.log(errors["gap"])) / 4)
    shown = {row[0]: row[5] for row in read_table(page, "board")[1:]}
    labels = {name: model["label"] for name, model in made.models.items()}
    assert shown == {labels[name]: format_number(value) for name, value in expected.items()}
    assert names(page)[:-2] == [labels[name] for name in expected.drop("oracle").dropna().sort_values().index]
    page.get_by_label("made/hof: property hof").uncheck()
    assert read_table(page, "board")[0][-1].startswith("made/gap")
    assert len(read_table(page, "board")[0]) == 7


def test_the_address_restores_a_view_in_a_new_tab(visit):
    page = visit.open("index.html")
    page.get_by_label("Split").select_option("scaffold")
    page.get_by_label("Fold").select_option("id")
    page.get_by_label("Metric").select_option("mae")
    page.get_by_label("Heat-map").uncheck()
    page.get_by_role("button", name="made/hof").click()
    expected = read_table(page, "board")
    other = visit.watch(visit.context.new_page())
    other.goto(page.url)
    other.wait_for_selector("#board tbody tr")
    assert read_table(other, "board") == expected
    assert not other.get_by_label("Heat-map").is_checked()
    assert other.locator("#board td[style]").count() == 0
    other.go_back()
    other.goto(f"{(visit.site / 'index.html').as_uri()}#scheme=none&fold=none&metric=none&sort=none&weights=x:y")
    other.reload()
    other.wait_for_selector("#board tbody tr")
    assert len(names(other)) == 6  # of what is wrong the default


@pytest.mark.parametrize("state", ["", "fold=id&metric=spearman", "units=normalised&fold=ood_tail&scheme=scaffold"])
def test_the_csv_has_the_figures_of_the_table(visit, made, state):
    page = visit.open("index.html", state)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of this view").click()
    with download.value.path().open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = {"scheme": "kde", "fold": "ood", "metric": "rmse"} | dict(
        re.findall(r"(scheme|fold|metric)=(\w+)", state)
    )
    chosen["metric"] = "normalised_rmse" if "normalised" in state else chosen["metric"]
    table = read_metrics(made.tables[0])
    for name, value in chosen.items():
        table = table[table[name] == value]
    table = table.assign(task=table["dataset"] + "/" + table["property"]).set_index(["model", "task"])["mean"].dropna()
    found = {(row["model"], task): float(row[task]) for row in rows for task in ("made/hof", "made/gap") if row[task]}
    assert found == table.to_dict()
    assert [row["label"] for row in rows] == names(page)


def test_tasks_on_which_the_same_seeds_lack_a_result_are_one_row(chromium, tmp_path):
    lost = {"made/hof/kde/model1": (0, 1), "made/gap/kde/model1": (0,), "made/hof/kde/model2": (0,)}
    lost |= {"made/gap/kde/model2": (0,)}
    made = make(
        tmp_path, seeds=(0, 1), lost={f"{run}/seed{at}": "no luck" for run, all_ in lost.items() for at in all_}
    )
    visit = Visit(chromium, made)
    rows = read_table(visit.open("index.html"), "failure-list")[1:]
    assert sorted((row[0], *sorted(row[1].split(", ")), row[3]) for row in rows) == [
        ("Model 1", "made/gap", "0"),
        ("Model 1", "made/hof", "0, 1"),
        ("Model 2", "made/gap", "made/hof", "0"),
    ]
    visit.context.close()


def test_a_mean_that_does_not_exist_says_why(visit):
    page = visit.open("index.html")
    assert page.locator("#legend").inner_text().startswith("4 of 5 models have all tasks")
    assert (
        visit.page.locator("#board tr.control td.lost:not(.task)").last.get_attribute("data-tip")
        == "It is not defined here"
    )
    page.locator("#board td.lost:not(.task)").first.hover()
    assert page.locator("#tip").inner_text() == "Model 1 has 1 of 2 tasks; means are of models that have all"


def test_an_empty_cell_says_why(visit):
    page = visit.open("index.html")
    page.locator("#board td.task.lost").first.hover()
    assert (
        page.locator("#tip").inner_text() == "Model 1, made/hof, OOD: no result. seed 0, failed: RuntimeError: no luck"
    )
    page.keyboard.press("Escape")
    assert page.locator("#tip").is_hidden()
    assert "1 of 24 runs have no result" in page.locator("#notice").inner_text()
    assert read_table(page, "failure-list")[1] == [
        "Model 1",
        "made/hof",
        "kde",
        "0",
        "failed",
        "RuntimeError: no luck",
    ]


def test_the_bold_ones_are_those_of_the_leaderboard(visit, made):
    page = visit.open("index.html")
    bold = page.eval_on_selector_all("#board td b", "all => all.map(each => each.closest('tr').cells[0].innerText)")
    table = read_metrics(made.tables[0]).query("metric == 'rmse' and fold == 'ood' and scheme == 'kde'")
    best = table[table["behind_low"] <= 0]
    assert sorted(bold) == sorted(made.models[name]["label"] for name in best["model"])


# ---- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["kde", "scaffold"])
def test_every_number_is_that_of_the_markdown(visit, made, scheme):
    text = (made.folder / "leaderboard.md").read_text(encoding="utf-8")
    section = re.split(r"^## Split by ", text, flags=re.MULTILINE)[1:][["kde", "scaffold"].index(scheme)]
    page = visit.open("index.html", f"scheme={scheme}")
    overall = read_markdown(section, "### Overall")
    assert [row[:5] for row in read_table(page, "board")[1:]] == [row[:5] for row in overall[1:]]
    for fold, heading in (("ood", "### OOD RMSE ↓"), ("id", "### ID RMSE ↓")):
        page.get_by_label("Fold").select_option(fold)
        markdown = {row[0]: [cell.strip("*") for cell in row[1:]] for row in read_markdown(section, heading)[1:]}
        assert {row[0]: row[5:] for row in read_table(page, "board")[1:]} == markdown
    halves = {}
    for fold in ("ood_tail", "ood_interior"):
        page.get_by_label("Fold").select_option(fold)
        halves[fold] = {row[0]: row[5:] for row in read_table(page, "board")[1:]}
    for name, *cells in read_markdown(section, "### OOD inside and outside the training range")[1:]:
        shown = [f"{tail} / {inner}" for tail, inner in zip(*(half[name] for half in halves.values()), strict=True)]
        assert cells == ["—" if each == "— / —" else each for each in shown]
    page.get_by_label("Fold").select_option("ood")
    summary = next(line for line in section.splitlines() if line.startswith("<summary>All metrics"))
    header, *rows = read_markdown(section, summary)
    details = pd.DataFrame(rows, columns=header)
    details["Model"] = details["Model"].str.strip("*")
    compared = 0
    for option in page.locator("#menu-metric option").all():
        if option.inner_text().strip() not in details.columns:
            continue
        page.get_by_label("Metric").select_option(option.get_attribute("value"))
        for row in read_table(page, "board")[1:]:
            for task, cell in zip(("made/hof (kcal/mol)", "made/gap (Ha)"), row[5:], strict=True):
                same = details[(details["Model"] == row[0]) & (details["Task"] == task)]
                assert cell == same[option.inner_text().strip()].item(), (row[0], task)
                compared += 1
    assert compared == 10 * 6 * 2


def test_the_task_page_has_the_markdowns_hardest_molecules(visit, made):
    text = (made.folder / "leaderboard.md").read_text(encoding="utf-8")
    table = read_markdown(text, "<summary>made/hof (kcal/mol)</summary>")
    page = visit.open("task.html", "task=made/hof&scheme=kde")
    cards = page.locator("#hardest > li").all()
    assert len(cards) == len(table) - 1
    for card, (_, name, smiles, _, fold, label, median, extent, error) in zip(cards, table[1:], strict=True):
        shown = card.inner_text()
        for part in (name, smiles.strip("`"), fold, label, median, extent, error):
            assert part in shown


def test_nlmtps_page_has_the_markdowns_numbers(visit, made):
    text = (made.folder / "leaderboard.md").read_text(encoding="utf-8")
    effects, pairs = (
        read_markdown(text, "### Effect and overlap"),
        read_markdown(text, "### Contrast against chemistry"),
    )
    page = visit.open("policy.html")
    held_out = [row for row in read_table(page, "effects")[1:] if row[0].startswith("held out")]
    assert [held_out[0][3], held_out[0][4], held_out[1][3], held_out[1][4]] == effects[1][6:10]
    assert [held_out[0][5], held_out[1][5]] == effects[1][11:13]
    assert held_out[0][6] == effects[1][10]
    assert read_table(page, "pair-table")[1:] == [row[4:] for row in pairs[1 : 1 + 6]]


def test_the_results_of_a_task_are_in_the_order_of_its_task_and_sort(visit):
    page = visit.open("task.html", "task=made/gap&scheme=kde")
    rows = read_table(page, "results")
    assert rows[-1][0] == "Oracle"
    ood = [float(row[3]) for row in rows[1:-1]]
    assert ood == sorted(ood)
    page.locator("#parity-section").scroll_into_view_if_needed()
    page.locator("#parity .chart").first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    shown = page.locator("#molecule .smiles").inner_text()
    page.get_by_role("button", name="ID", exact=False).first.click()
    assert page.locator("#molecule .smiles").inner_text() == shown  # what one looks at stays
    inside = [float(row[2]) for row in read_table(page, "results")[1:-1]]
    assert inside == sorted(inside)
    page.get_by_role("button", name="R² binned").click()
    binned = [float(row[8]) for row in read_table(page, "results")[1:-1]]
    assert binned == sorted(binned, reverse=True)
    page = visit.open("task.html", "task=made/hof&scheme=kde")
    assert [row[0] for row in read_table(page, "results")[-2:]] == ["Model 1", "Oracle"]


# ---- molecules and other pages -----------------------------------------------------------------------------------


def test_pointing_at_a_molecule_draws_it(visit):
    page = visit.open("task.html", "task=made/hof&scheme=kde&models=model0")
    first = page.locator("#molecule .smiles").inner_text()
    page.locator("#parity-model0").scroll_into_view_if_needed()
    seen = set()
    for at in range(0, page.locator("#parity-model0 .points path").count(), 5):
        point = page.locator("#parity-model0 .points path").nth(at).bounding_box()
        page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        page.wait_for_timeout(120)
        seen.add(page.locator("#molecule .smiles").inner_text())
    assert len(seen - {first}) > 5
    card = page.locator("#molecule")
    assert card.locator("img, svg").count() == 1
    assert card.locator("img").evaluate("image => image.complete && image.naturalWidth > 0")
    assert card.locator("dt").all_inner_texts() == ["Fold", "Label", "Model 0", "Molecule"]


def test_what_is_far_down_a_page_is_drawn_once_it_comes_near(visit):
    page = visit.page
    page.set_viewport_size({"width": 1400, "height": 250})
    page.goto((visit.site / "task.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    curves = page.locator("#curves-section")
    assert curves.get_attribute("data-drawn") == "no"
    assert curves.locator(".main-svg").count() == 0
    curves.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#curves-section').dataset.drawn === 'yes'")
    assert curves.locator(".main-svg").count() > 0


def test_a_part_that_cannot_be_shown_says_so_and_leaves_the_rest(chromium, made, tmp_path):
    shutil.copytree(made.folder / "site", tmp_path / "site")
    (tmp_path / "site/data/tasks/made/hof/kde/model0.js").unlink()
    visit = Visit(chromium, SimpleNamespace(folder=tmp_path))
    page = visit.page
    page.goto(f"{(tmp_path / 'site/task.html').as_uri()}#task=made/hof&scheme=kde&models=model0")
    page.locator("#parity-section").scroll_into_view_if_needed()
    trouble = page.locator("#trouble")
    trouble.wait_for()
    assert "tasks/made/hof/kde/model0.js cannot be read" in trouble.inner_text()
    page.locator("#distribution").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#distribution .main-svg')")
    page.locator("#models").get_by_label("Model 2").check()
    page.locator("#models").get_by_label("Model 0").uncheck()
    page.locator("#parity-model2 .main-svg").first.wait_for()
    assert not trouble.is_visible()
    visit.context.close()


def test_a_view_that_is_left_draws_no_more(visit):
    page = visit.page
    page.goto(f"{(visit.site / 'task.html').as_uri()}#task=made/hof&scheme=kde")
    for task in ("made/gap", "made/hof", "made/gap"):
        page.locator("#menu-task").select_option(task)
    page.locator("#parity-section").scroll_into_view_if_needed()
    page.locator("#distribution").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#distribution').dataset.drawn === 'yes'")
    titles = page.locator("#distribution .xtitle, #parity .xtitle").all_text_contents()
    assert len(titles) > 1
    assert all("gap" in title for title in titles)


def test_arrow_keys_walk_from_the_largest_error(visit):
    page = visit.open("task.html", "task=made/hof&scheme=kde&models=model0")
    chart = page.locator("#parity-model0")
    chart.focus()
    errors = []
    for _ in range(5):
        chart.press("ArrowRight")
        errors.append(abs(float(re.search(r"error (\S+)", page.locator("#molecule").inner_text())[1])))
    assert errors == sorted(errors, reverse=True)


def test_a_finger_scrolls_past_a_chart_and_a_tap_shows_a_molecule(chromium, made):
    context = chromium.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{(made.folder / 'site/task.html').as_uri()}#task=made/hof&scheme=kde&models=model0")
    page.locator("#parity-section").scroll_into_view_if_needed()
    page.locator("#parity-model0 .main-svg").first.wait_for()
    chart = page.locator("#parity-model0")
    chart.evaluate("each => each.scrollIntoView({ block: 'center' })")
    box, limits = chart.bounding_box(), chart.evaluate("each => [...each.layout.yaxis.range]")
    before, touch = page.evaluate("scrollY"), context.new_cdp_session(page)
    x, y = box["x"] + 180, box["y"] + 200

    def send(kind, *points):
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": each} for each in points]})

    send("touchStart", y)
    for step in range(1, 16):
        send("touchMove", y - 12 * step)
        page.wait_for_timeout(16)
    send("touchEnd")
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") - before > 100
    assert chart.evaluate("each => [...each.layout.yaxis.range]") == limits
    chart.evaluate("each => each.scrollIntoView({ block: 'start' })")
    first = page.locator("#molecule .smiles").inner_text()
    for at in range(0, page.locator("#parity-model0 .points path").count(), 9):
        point = page.locator("#parity-model0 .points path").nth(at).bounding_box()
        page.touchscreen.tap(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        if page.locator("#molecule .smiles").inner_text() != first:
            break
    shown = page.locator("#molecule").bounding_box()
    assert page.locator("#molecule .smiles").inner_text() != first
    assert shown["y"] >= 0
    assert shown["y"] + shown["height"] <= 800
    context.close()


def test_the_caption_of_a_table_stays_in_sight(chromium, made):
    visit = Visit(chromium, made, 400)
    page = visit.open("task.html", "task=made/hof&scheme=kde")
    caption = page.locator("#results caption span")
    for left in (0, 300):
        page.locator("#results").evaluate("(place, left) => { place.scrollLeft = left; }", left)
        box = caption.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 400
    visit.context.close()


def read_pair(page):
    """The error of the pair that is shown, whose molecules are drawn, and what is said of it."""
    said = page.locator("#pairs-said").inner_text()
    truth, contrast = (float(each) for each in re.search(r" → .*true (\S+), contrast (\S+)", said).groups())
    drawn = page.locator("#pairs-shown .sketch").evaluate_all("all => all.map((each) => each.ariaLabel)")
    assert drawn == [f"Structure of {smiles}" for smiles in page.locator("#pairs-said code").all_inner_texts()]
    return abs(truth - contrast), said


def test_the_keyboard_walks_through_pairs_from_the_largest_error(visit):
    page = visit.open("policy.html")
    pairs = [read_pair(page)]
    page.locator("#pairs").focus()
    for _ in range(3):
        page.locator("#pairs").press("ArrowRight")
        pairs.append(read_pair(page))
    errors = [error for error, _ in pairs]
    assert errors == sorted(errors, reverse=True)
    assert len(set(pairs)) == len(pairs)


def test_the_page_of_a_task_tells_how_far_intervals_hold(visit):
    page = visit.open("task.html", "task=made/hof&scheme=kde")
    page.wait_for_function("document.documentElement.dataset.ready === '1'")
    assert page.locator("#intervals caption").inner_text() == "Intervals that promise 90 % of the labels"
    header = page.locator("#intervals thead th").all_inner_texts()
    assert header[:5] == ["Model", "Interval", "Offered", "Coverage ID", "Coverage OOD"]
    first = page.locator("#intervals tbody tr").first.locator("th, td").all_inner_texts()
    assert [cell.endswith(" %") for cell in first] == [title.startswith("Coverage") for title in header]
    flags = page.locator("#flags tbody th").all_inner_texts()
    assert {"value", "element", "group", "similarity"} <= set(flags)


LETTERS = """
(each) => {
  const svg = document.body.appendChild(BOOM.sketch(each, ''));
  const centre = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const letters = [...svg.querySelectorAll('text')].flatMap((text) =>
    [...text.textContent].map((letter, at) => [letter, ...centre(text.getExtentOfChar(at))]));
  const ends = ['x1', 'y1', 'x2', 'y2'];
  const bonds = [...svg.querySelectorAll('line')].map((line) => ends.map((end) => Number(line.getAttribute(end))));
  svg.remove();
  return [letters, bonds];
}
"""


def measure(point, bond):
    """How far a point is from a bond."""
    start, end = np.reshape(bond, (2, 2))
    along = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
    return np.linalg.norm(point - start - along * (end - start))


def test_letters_stand_at_their_atom_and_hydrogens_beside_the_bonds(visit):
    page = visit.open("policy.html")
    smiles = ["NCCO", "CNC", "CC(=O)Nc1ccccc1", "C[NH+](C)C", "CC(C)[NH2+]C", "[O-]C", "C[SiH](C)C", "OC1OC1O", "NC#N"]
    for each in smiles:
        letters, bonds = page.evaluate(LETTERS, locate(each))
        for atom in locate(each).split("|")[0].split(";"):
            x, y, text = (*atom.split(","), "")[:3]
            if text:
                beside = [letter for letter, *at in letters if np.hypot(at[0] - int(x), at[1] + int(y)) < 5]
                assert beside == list(re.match("[A-Z][a-z]?", text)[0])
        away = [measure(np.array(at), bond) for letter, *at in letters for bond in bonds if letter == "H"]
        assert min(away, default=9) > 4


def test_what_is_written_at_atoms(visit):
    page = visit.open("policy.html")
    parts = "(each) => [...BOOM.sketch(each, '').querySelectorAll('tspan')].map((part) => part.textContent)"
    said = {
        "C[NH3+]": "N H 3 +",
        "[13CH4]": "13 C H 4",
        "[Fe+2]": "Fe 2+",
        "O": "H 2 O",
        "[NH+2]C": "N H 2+",
        "*C": "*",
    }
    for smiles, texts in said.items():
        assert page.evaluate(parts, locate(smiles)) == texts.split()
    assert page.evaluate(parts, locate("[O-]C")) == ["O", "−"]
    assert page.evaluate(parts, locate("*C")) == ["*"]


def test_a_view_without_points_leaves_the_chart_of_costs_to_the_next(visit):
    page = visit.open("cost.html", "task=made/gap")
    page.evaluate(
        "BOOM.load('runs').then(runs => runs.filter(run => run.task === 'made/hof')"
        ".forEach(run => { run.seconds[0] = null; }))"
    )
    page.get_by_label("Task").select_option("made/hof")
    page.locator("#chart .hint").wait_for()
    page.get_by_label("Task").select_option("made/gap")
    page.locator("#chart .points path").first.wait_for()
    assert page.locator("#chart .hint").count() == 0


def test_another_model_keeps_the_task_that_it_has(visit):
    page = visit.open("model.html", "model=model0&task=made/gap/scaffold")
    page.get_by_label("Model", exact=True).select_option("model2")
    page.wait_for_function("document.documentElement.dataset.ready === '2'")
    assert state_of(page)["task"] == "made/gap/scaffold"
    page = visit.open("model.html", "model=model0&task=made/hof/kde")
    page.get_by_label("Model", exact=True).select_option("model1")
    page.wait_for_function("document.documentElement.dataset.ready === '2'")
    assert "task" not in state_of(page)
    assert page.locator("#astray").is_hidden()


def test_a_published_site_has_its_name(chromium, made, tmp_path):
    shutil.copytree(made.folder / "site", tmp_path / "results/site")
    for page in (tmp_path / "results/site").glob("*.html"):
        link_site(page, tmp_path / 'a & "b"', {})
    visit = Visit(chromium, SimpleNamespace(folder=tmp_path / "results"))
    page = visit.open("model.html", "model=model0")
    assert page.locator(".brand").inner_text() == 'BOOM a & "b"'
    assert page.title() == 'Model 0 – BOOM – a & "b"'
    visit.context.close()


def test_a_site_without_a_policy_has_no_page_of_it_in_the_menu(chromium, tmp_path):
    visit = Visit(
        chromium,
        make(
            tmp_path,
            models={name: each for name, each in describe_models(5).items() if not each.get("answers_policy")},
        ),
    )
    page = visit.open("index.html")
    assert page.locator("nav a").all_inner_texts() == ["Leaderboard", "Tasks", "Models", "Cost"]
    visit.context.close()


def test_a_molecule_that_rdkit_has_not_drawn_is_drawn_from_its_positions(visit):
    page = visit.open("task.html")
    made = page.evaluate(
        """() => { const svg = BOOM.sketch("-26,-15;0,0;0,30,O;26,-15,OH|0,1,6;1,2,2;1,3,1", "CC(=O)O");
        document.body.append(svg); return [svg.querySelectorAll("line").length, svg.querySelectorAll("polygon").length,
        [...svg.querySelectorAll("text")].map((each) => each.textContent), svg.getAttribute("aria-label")]; }"""
    )
    assert made == [3, 1, ["O", "OH"], "Structure of CC(=O)O"]


def test_numbers_are_written_as_the_report_writes_them(visit):
    page = visit.open("index.html")
    rng = np.random.default_rng(0)
    values = [
        0,
        1e-7,
        999.5,
        99.95,
        1e6,
        123456.7,
        -0.05,
        *(rng.normal(size=400) * 10.0 ** rng.integers(-8, 9, 400)).tolist(),
    ]
    assert page.evaluate("values => values.map(BOOM.formatNumber)", values) == [format_number(each) for each in values]


def test_a_model_has_its_runs_errors_and_log(visit):
    page = visit.open("model.html", "model=model1")
    assert page.locator("h1").inner_text() == "Model 1"
    assert len(read_table(page, "results")) == 5
    assert read_table(page, "runs")[1][3] == "failed"
    page.locator("#logs summary").first.click()
    assert page.locator("#logs pre").inner_text() == "a line\nno luck"
    assert len(read_table(page, "elements")) >= 4
    assert "alpha: 1.0" in page.locator("#parameters").inner_text()
    for place in page.locator("#runs a").all():
        assert (visit.site / place.get_attribute("href")).resolve().is_file()


def test_the_front_of_cost_and_accuracy(visit):
    page = visit.open("cost.html", "task=made/gap")
    rows = [(row[0], float(row[1]), float(row[2]), row[3]) for row in read_table(page, "board")[1:]]
    for name, seconds, error, front in rows:
        beaten = any(other[1] <= seconds and other[2] < error for other in rows)
        assert (front == "") == beaten, name
    assert page.locator("#chart .points path").count() == len(rows)
    page = visit.open("cost.html", "task=made/hof")
    assert "4 of 5 models: the others have no result on made/hof" in page.locator("#caption").inner_text()
    for axis in ("xtick", "ytick"):
        ticks = [float(each.replace(",", "")) for each in page.locator(f"#chart .{axis} text").all_text_contents()]
        assert len(ticks) >= 2
        assert ticks == sorted(ticks)  # whole numbers, where plotly by itself would write 5, 10, 2, 5
    labels = page.locator("#chart .textpoint text").all_text_contents()
    assert sorted(labels) == sorted(row[0] for row in read_table(page, "board")[1:] if row[3])


# ---- hostile texts, keyboard, accessibility ------------------------------------------------------------------------


def make_hostile(folder):
    """Results whose every text would be markup, if it were let."""
    models = {
        name: model
        | dict.fromkeys(("source", "citation", "licence"), HOSTILE)
        | {"label": f"{model['label']} {HOSTILE}"}
        for name, model in describe_models(3).items()
    }
    models["model0"] |= {"citation": "javascript:document.title='owned'", "parameters": {"alpha": HOSTILE}}
    properties = {name: {"label": HOSTILE, "unit": HOSTILE, "kind": "intensive"} for name in ("hof", "gap")}
    made = MadeResults(
        folder / "results",
        models,
        dataset={"label": HOSTILE, "properties": properties},
        lost={LOST: HOSTILE},
        seeds=(0,),
    )
    smiles = [f"{text} {HOSTILE}" for text in make_smiles(60)]  # RDKit takes what follows for a name
    made.make(smiles)
    write_site(*made.tables, made.folder / "site/index.html", **made.described)
    return made


def test_hostile_texts_stay_texts(chromium, tmp_path):
    visit = Visit(chromium, make_hostile(tmp_path))
    for name in PAGES:
        page = visit.open(name, "model=model0" if name == "model.html" else "")
        assert page.title() != "owned"
        assert page.locator("img[src=x], [onerror], a[href^='javascript']").count() == 0
        assert [each for each in page.locator("b").all_inner_texts() if each == "bold"] == []
        assert HOSTILE in page.locator("body").inner_text()
    assert page.evaluate("document.querySelectorAll('script:not([src])').length") == 0
    page = visit.open("index.html")
    page.locator("#board td.task.lost").first.hover()
    assert HOSTILE in page.locator("#tip").inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of this view").click()
    assert HOSTILE in next(csv.reader(download.value.path().read_text().splitlines()[1:]))[1]
    assert visit.wrong == []
    visit.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_alone_reaches_everything(visit, name):
    page = visit.open(name)
    for summary in page.locator("summary").all():
        summary.focus()
        page.keyboard.press("Enter")
    wanted = page.evaluate(
        """() => [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex="0"]')]
        .filter((each) => !each.disabled && each.checkVisibility() && each.id !== 'main')
        .map((each, at) => { each.dataset.stop = at; return at; })"""
    )
    page.evaluate("() => { document.activeElement.blur(); window.scrollTo(0, 0); }")
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        stop = page.evaluate("() => document.activeElement.dataset.stop ?? null")
        reached |= {int(stop)} if stop is not None else set()
    assert reached == set(wanted)


def test_arrow_keys_reach_every_cell(visit):
    page = visit.open("index.html")
    cells = page.locator("#board tbody td[data-tip]")
    cells.first.focus()
    reached = set()
    for _ in range(6):
        for key in ("ArrowLeft",) * 5 + ("ArrowRight",) * 5:
            page.keyboard.press(key)
            at = page.evaluate("[document.activeElement.parentElement.rowIndex, document.activeElement.cellIndex]")
            reached.add((*at, page.locator("#tip").inner_text()))
        page.keyboard.press("ArrowDown")
    # two tasks of six models; the means that one of them, and the control, have not
    assert len(reached) == cells.count() == 17


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(chromium, made, width, dark):
    from axe_playwright_python.sync_playwright import Axe

    visit = Visit(chromium, made, WIDTHS[width], dark)
    for name in PAGES:
        page = visit.open(name)
        for summary in page.locator("summary").all():
            summary.click()
        found = Axe().run(page, options={"preload": False}).response["violations"]
        assert [(each["id"], [node["html"][:200] for node in each["nodes"]][:3]) for each in found] == [], name
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name}: {wider} pixels"
    assert visit.wrong == []
    visit.context.close()


def test_a_table_too_wide_scrolls_in_its_own_place(chromium, made):
    visit = Visit(chromium, made, 400)
    page = visit.open("index.html")
    before = page.locator("#board tbody th").first.bounding_box()["x"]
    page.locator("#board").evaluate("place => { place.scrollLeft = 200; }")
    assert page.locator("#board").evaluate("place => place.scrollLeft") > 0
    assert page.locator("#board tbody th").first.bounding_box()["x"] == pytest.approx(before, abs=1)
    visit.context.close()


def test_data_are_loaded_where_they_are_needed(visit):
    visit.open("index.html")
    assert not [url for url in visit.left if "plotly" in url or "/tasks/" in url]
    visit.open("task.html", "task=made/hof&scheme=kde&models=model0")
    loaded = [url.partition("/data/")[2] for url in visit.left if "/data/tasks/" in url]
    assert sorted(loaded) == ["tasks/made/hof/kde/model0.js", "tasks/made/hof/kde/task.js"]
