"""Ranks over datasets, models, seeds and metrics, from invented numbers."""

import itertools
import math
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats

from harness.metrics import METRICS
from harness.report.collect import Cell, Group, collect
from harness.report.drawing import Drawn
from harness.report.export import to_csv, to_latex, to_markdown
from harness.report.figures_ranks import rank_figure
from harness.report.friedman import bars, critical_difference, enough, friedman, kendall_w
from harness.report.leading import MOST
from harness.report.palette import looks
from harness.report.rank_table import rank_table
from harness.report.rank_words import not_ranked
from harness.report.ranks import standing
from harness.report.standing import Standing, agreement
from harness.report.student import range_point
from harness.store import Store

Values = dict[str, list[float]]  # metric -> one value per seed


@cache
def template() -> Cell:
    """A cell as it comes from a store, with one row that has every column."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "made")
        described = synthetic.describe("photos32", "l2", 1, trials=0)
        store.write(synthetic.row(described, "final", 0, 0.1))
        synthetic.write_grid(store, [described])
        return collect(store, store.grid())[0].cells[0]


def cell(dataset: str, model: str, loss: str, values: Values) -> Cell:
    """A cell whose rows hold these invented metrics and no others."""
    seeds = len(next(iter(values.values())))
    finals = pd.concat([template().finals] * seeds, ignore_index=True)
    blank = dict.fromkeys([*METRICS, *(f"{name}_signature" for name in METRICS)])
    finals = finals.assign(**blank).assign(**values, seed=range(seeds))
    return replace(
        template(),
        id=f"{dataset}-{model}-{loss}",
        dataset=dataset,
        model=model,
        loss=loss,
        label=loss,
        seeds=seeds,
        finals=finals,
        attempts=finals,
    )


def group(dataset: str, losses: dict[str, Values], model: str = "conv4") -> Group:
    cells = tuple(cell(dataset, model, loss, values) for loss, values in losses.items())
    return Group(dataset, model, f"{dataset}-{model}", cells)


def frd(**losses: list[float]) -> dict[str, Values]:
    return {loss: {"frd_gen": values} for loss, values in losses.items()}


def drawn(groups: list[Group]) -> Drawn:
    figure = rank_figure(groups, looks(c.label for g in groups for c in g.cells))
    assert figure is not None
    return figure


def found(groups: list[Group]) -> Standing:
    result = standing(groups)
    assert result is not None
    return result


# Demšar 2006, table 5a: critical values of the two-tailed Nemenyi test at 5 %.
Q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize("k", Q)
def test_critical_differences_are_demsars(k: int) -> None:
    expected = Q[k] * math.sqrt(k * (k + 1) / (6 * 14))
    assert critical_difference(k, 14) == pytest.approx(expected, rel=4e-4)


def test_demsars_own_example() -> None:
    """Table 6: four classifiers on fourteen datasets; mean ranks, χ² = 9.28 and CD = 1.25."""
    table = np.array(
        [
            [0.763, 0.768, 0.771, 0.798],
            [0.599, 0.591, 0.590, 0.569],
            [0.954, 0.971, 0.968, 0.967],
            [0.628, 0.661, 0.654, 0.657],
            [0.882, 0.888, 0.886, 0.898],
            [0.936, 0.931, 0.916, 0.931],
            [0.661, 0.668, 0.609, 0.685],
            [0.583, 0.583, 0.563, 0.625],
            [0.775, 0.838, 0.866, 0.875],
            [1.000, 1.000, 1.000, 1.000],
            [0.940, 0.962, 0.965, 0.962],
            [0.619, 0.666, 0.614, 0.669],
            [0.972, 0.981, 0.9751, 0.975],
            [0.957, 0.978, 0.946, 0.970],
        ]
    )
    ranks = pd.DataFrame(-table).rank(axis=1).to_numpy()
    assert ranks.mean(axis=0) == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    statistic, p = friedman(ranks)
    # The document's 9.28 does without the correction for ties, which SciPy makes too.
    assert 12 * 14 / 20 * ((ranks.mean(axis=0) ** 2).sum() - 25) == pytest.approx(9.28, abs=0.01)
    assert statistic == pytest.approx(stats.friedmanchisquare(*table.T).statistic)
    assert p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue, abs=0.01)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_p_is_exact_where_permutations_can_be_counted() -> None:
    ranks = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 3.0, 2.0]])
    orders = list(itertools.permutations([1.0, 2.0, 3.0]))
    all_w = [
        kendall_w(np.array([[1.0, 2.0, 3.0], *pair]))
        for pair in itertools.product(orders, repeat=2)
    ]
    exact = np.mean([w >= kendall_w(ranks) - 1e-9 for w in all_w])
    assert friedman(ranks)[1] == pytest.approx(float(exact), abs=0.02)
    assert friedman(ranks) == friedman(ranks)


def test_kendalls_w_by_hand() -> None:
    # Sums 5, 6, 7 against a mean of 6: S = 2, W = 12 × 2 / (9 × 24).
    assert kendall_w(np.array([[1.0, 2, 3], [1, 3, 2], [3, 1, 2]])) == pytest.approx(1 / 9)
    assert kendall_w(np.array([[1.0, 2, 3]] * 4)) == pytest.approx(1)
    assert kendall_w(np.array([[1.0, 2], [2, 1]])) == 0
    assert math.isnan(kendall_w(np.array([[1.0, 2, 3]])))
    assert math.isnan(kendall_w(np.array([[2.0, 2, 2]] * 3)))


@pytest.mark.parametrize(("k", "blocks"), [(4, 6), (8, 10)])
def test_losses_without_a_difference_are_seldom_told_apart(k: int, blocks: int) -> None:
    """The largest difference of mean ranks exceeds the critical one in at most about 5 %."""
    rng = np.random.default_rng(3)
    ranks = np.argsort(rng.random((4000, blocks, k)), axis=2) + 1.0
    means = ranks.mean(axis=1)
    share = (np.ptp(means, axis=1) > critical_difference(k, blocks)).mean()
    assert 0.01 < share < 0.06


def test_bars_join_the_longest_runs() -> None:
    assert bars(np.array([1.0, 2.0, 2.5, 4.0]), 1.5) == [(0, 2), (2, 3)]
    assert bars(np.array([1.0, 2.0, 3.0]), 0.5) == []
    assert bars(np.array([1.0, 1.2, 1.4]), 5.0) == [(0, 2)]


def test_few_blocks_cannot_tell_losses_apart() -> None:
    assert not enough(5, 1)
    assert not enough(2, 5)  # a sign test of five: 2/32 > 5 %
    assert enough(2, 6)
    assert not enough(5, 2)  # CD = 4.31, but mean ranks differ by at most 4
    assert enough(5, 3)


def test_blocks_are_conditions_and_seeds() -> None:
    groups = [
        group("a", frd(l2=[3.0, 1.0], l1=[2.0, 2.0], ssim=[1.0, 3.0])),
        group("b", frd(l2=[9.0, 8.0, 7.0], l1=[1.0, 1.0, 1.0], ssim=[5.0, 5.0, 5.0])),
    ]
    result = found(groups)
    assert result.seeds == 2  # as many from each condition
    assert result.blocks.to_numpy().tolist() == [[3, 2, 1], [1, 2, 3], [3, 1, 2], [3, 1, 2]]
    assert result.means.to_dict() == {"l1": 1.5, "ssim": 2.0, "l2": 2.5}
    assert result.conditions.to_numpy().tolist() == [[2, 2, 2], [3, 1, 2]]


def test_more_is_better_where_the_metric_says_so() -> None:
    losses = {
        "l2": {"frd_gen": [2.0, 2.0], "psnr": [20.0, 20.0]},
        "l1": {"frd_gen": [1.0, 1.0], "psnr": [19.0, 19.0]},
    }
    result = found([group("a", losses)])
    assert result.by_metric.loc["psnr"].to_dict() == {"l2": 1, "l1": 2}
    table = rank_table([group("a", losses)])
    assert table is not None
    assert "Ranked, but optimised by the loss itself: PSNR of l2." in " ".join(table.notes)
    assert result.by_metric.loc["frd_gen"].to_dict() == {"l2": 2, "l1": 1}


def test_home_advantage_has_no_rank_and_the_others_full_range() -> None:
    losses = {
        name: {"frd_gen": [value] * 2} for name, value in (("l2", 3.0), ("l1", 2.0), ("lpips", 1.0))
    }
    groups = [group("a", losses)]
    cells = [
        replace(c, finals=c.finals.assign(lpips=[0.1 * i] * 2))
        for i, c in enumerate(groups[0].cells, 1)
    ]
    result = found([replace(groups[0], cells=tuple(cells))])
    assert result.by_metric.loc["lpips"].isna().tolist() == [False, False, False]  # AlexNet's
    cells = [replace(c, loss="lpips[net=alex]") if c.loss == "lpips" else c for c in cells]
    ranks = found([replace(groups[0], cells=tuple(cells))]).by_metric.loc["lpips"]
    assert math.isnan(ranks["lpips"])
    assert (ranks["l2"], ranks["l1"]) == (1, 3)  # of two, stretched over three
    table = rank_table([replace(groups[0], cells=tuple(cells))])
    assert table is not None and "network that it was trained with" in table.notes[-1]


def test_what_is_not_ranked_is_named_with_its_reason() -> None:
    losses = frd(l2=[1.0, 2.0], l1=[2.0, 3.0], ssim=[3.0, 4.0], ce=[3.0, math.nan], ffl=[1.0, 1.0])
    first = group("a", losses)
    broken = replace(first.cells[4], finals=first.cells[4].finals.iloc[:1])
    groups = [
        replace(first, cells=(*first.cells[:4], broken)),
        group("b", frd(l2=[1.0, 2.0], l1=[2.0, 3.0], ssim=[3.0, 4.0], sigma=[1.0, 1.0])),
        group("c", frd(blur=[1.0, 2.0])),
    ]
    result = found(groups)
    assert list(result.conditions.columns) == ["l2", "l1", "ssim"]
    assert result.left_out == {
        "ce": "no finite value",
        "ffl": "not every seed ok",
        "sigma": "not in every condition",
    }
    table = rank_table(groups)
    assert table is not None
    assert "3 more losses have no rank, whatever the scores" in table.caption
    assert "Not ranked: ce (no finite value); ffl (not every seed ok); sigma" in table.notes[2]
    assert "Left out, with too few of these losses: c with conv4." in " ".join(table.notes)


def test_losses_without_a_rank_are_named_below_the_figure() -> None:
    first = frd(**{"l2": [1.0], "l1": [2.0], "ssim": [3.0], "vgg": [0.1]})
    others = {f"l2 + {n}*ffl[alpha=0.5]": [4.0] for n in range(12)}
    groups = [
        group("a", first | frd(**others)),
        group("b", first),
        group("c", {name: first[name] for name in ("l2", "l1", "ssim")}),
    ]
    assert not_ranked(found(groups))[:2] == ["vgg", "l2 + 0*ffl[alpha=0.5]"]
    figure = drawn(groups)
    [foot] = [text.get_text() for text in figure.figure.texts]
    names = foot.replace("\N{NO-BREAK SPACE}", " ").replace("\n", " ")
    assert names.startswith("not ranked, with no fair value in some condition: vgg, l2 + 0*ffl")
    said = int(names.rpartition(" and ")[2].removesuffix(" more"))
    assert said + names.count("*ffl") == len(others) and foot.count("\n") == 1
    assert "Not ranked: vgg, l2 + 0*ffl[alpha=0.5]," in figure.alt
    assert not drawn(clear()).figure.texts


def test_a_condition_with_many_losses_of_its_own_does_not_decide() -> None:
    """Three datasets share five losses; an ablation has seven others, and two of the five."""
    five = frd(l2=[1.0], l1=[2.0], ssim=[3.0], ce=[4.0], blur=[5.0])
    ablation = {name: five[name] for name in ("l2", "l1", "ssim")}
    ablation |= frd(**{f"stft[window={n}]": [float(n)] for n in range(7)})
    groups = [group("mnist", ablation), *(group(name, five) for name in "abc")]
    result = found(groups)
    assert list(result.conditions.index) == ["a-conv4", "b-conv4", "c-conv4"]
    assert len(result.means) == 5


@pytest.mark.parametrize("conditions", [2, 4, 12])
@pytest.mark.parametrize("losses", [3, 8, 36])
def test_nothing_in_the_figure_covers_anything_else(conditions: int, losses: int) -> None:
    groups = clear(conditions, seeds=2, losses=losses)
    named = [
        replace(g, dataset=f"{g.dataset}-with-long-name", slug=f"{g.slug}-{n}")
        for n, g in enumerate(groups)
    ]
    figure = drawn(named).figure
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes, *maps = figure.axes
    heads = [text for each in maps for text in each.get_xticklabels()]
    texts = [*axes.texts, *axes.get_yticklabels(), *heads, axes.xaxis.label, *figure.texts]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert len(boxes) > 4
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across < 1 or up < 2  # dots of 1/100 inch
    for box in boxes:
        assert box.y1 <= figure.bbox.y1 + 1 and box.x1 <= figure.bbox.x1 + 1 and box.x0 >= -1


def test_a_loss_in_one_variant_per_dataset_is_one_loss() -> None:
    groups = [
        group(
            "a", frd(**{"l2": [1.0], "blur": [2.0], "blur[c=0.1]": [3.0], "ffl[alpha=2]": [4.0]})
        ),
        group("b", frd(**{"l2": [1.0], "blur[size=41]": [2.0], "ffl[alpha=2]": [4.0]})),
        group("c", frd(**{"l2": [3.0], "blur[warmup=20]": [2.0], "ffl[alpha=3]": [4.0]})),
    ]
    result = found(groups)
    assert list(result.conditions.columns) == ["l2", "blur", "ffl[alpha=2]"]
    assert result.conditions.loc["c-conv4"].to_dict() == {"l2": 2, "blur": 1, "ffl[alpha=2]": 3}
    assert result.left_out == {"blur[c=0.1]": "not in every condition"}
    table = rank_table(groups)
    assert table is not None
    said = " ".join(table.notes)
    assert "blur is blur[size=41] on b with conv4; blur is blur[warmup=20] on c" in said
    assert "ffl[alpha=2] is ffl[alpha=3] on c with conv4." in said
    assert len(drawn(groups).data) == 3


def test_two_variants_and_no_plain_one_stay_apart() -> None:
    groups = [
        group("a", frd(**{"l2": [1.0], "blur[c=1]": [2.0], "blur[c=2]": [3.0], "ce": [4.0]})),
        group("b", frd(**{"l2": [1.0], "blur[c=1]": [2.0], "blur": [3.0], "ce": [4.0]})),
    ]
    assert list(found(groups).cells) == ["l2", "blur[c=1]", "ce"]


def test_a_metric_that_a_condition_lacks_is_named() -> None:
    with_psnr = {
        name: {"frd_gen": [value], "psnr": [value]} for name, value in (("l2", 1.0), ("l1", 2.0))
    }
    groups = [group("a", with_psnr), group("b", frd(l2=[1.0], l1=[2.0]))]
    table = rank_table(groups)
    assert table is not None
    assert "Not measured under every condition: PSNR (1 of 2)." in " ".join(table.notes)


def test_nothing_repeats_and_nothing_is_ranked() -> None:
    assert standing([]) is None
    assert standing([group("a", frd(l2=[1.0], l1=[2.0]))]) is None  # one metric, one seed
    assert standing([group("a", frd(l2=[1.0, 2.0]))]) is None  # one loss
    assert rank_table([]) is None
    assert rank_figure([], {}) is None


def test_mixed_signatures_are_not_ranked_together() -> None:
    own = group("a", frd(l2=[1.0, 2.0], l1=[2.0, 3.0], ce=[3.0, 4.0]))

    def signed(*names: str) -> list[Group]:
        cells = [
            replace(cell, finals=cell.finals.assign(frd_gen_signature=name))
            for cell, name in zip(own.cells, names, strict=True)
        ]
        return [replace(own, cells=tuple(cells))]

    assert standing(signed("one", "one", "one")) is not None
    assert standing(signed("one", "another", "one")) is None


def clear(conditions: int = 3, seeds: int = 5, losses: int = 4) -> list[Group]:
    """Losses far apart on every dataset and in every seed, save for noise between neighbours."""
    rng = np.random.default_rng(5)
    names = ["l2", "l1", "ssim", "ce", "ffl", "sigma", "blur", "watson"]
    names = [*names, *(f"loss{i:02d}" for i in range(losses))][:losses]
    return [
        group(
            f"photos{size}",
            {
                name: {
                    metric: list(rng.normal(place, 0.8, seeds))
                    for metric in ("frd_gen", "frd_recon", "spectrum_recon")
                }
                for place, name in enumerate(names)
            },
        )
        for size in range(conditions)
    ]


def test_the_caption_tells_the_test_and_bold_follows_it() -> None:
    groups = clear()
    result = found(groups)
    assert result.told_apart and 0 < result.p < 0.001
    table = rank_table(groups)
    assert table is not None
    assert "p < 0.001; losses joined by a bar differ by less than" in table.caption
    assert "3 conditions (a dataset with a model), 5 seeds each" in table.caption
    assert f"{result.critical:.2f} (Demšar 2006)" in table.caption
    assert len(table.caption.split()) < 90
    near = result.means[result.means <= result.means.iloc[0] + result.critical].index
    bold = [row.label for row in table.rows if row.entries[0].bold]
    assert bold == list(near)
    assert table.rows[-1].label == "agreement (Kendall's W)"
    assert table.rows[-1].entries[0].value == pytest.approx(kendall_w(result.blocks.to_numpy()))
    for text in (to_markdown(table), to_latex(table), to_csv(table)):
        assert "l2" in text


def test_without_a_test_there_is_no_bar_and_the_caption_says_why() -> None:
    groups = clear(conditions=2, seeds=1)
    table = rank_table(groups)
    assert table is not None
    assert "No test: 2 rankings cannot tell any two of 4 losses apart at 5 %." in table.caption
    assert [row.entries[0].bold for row in table.rows[:4]] == [True, False, False, False]
    assert "Not told apart" not in drawn(groups).alt


def test_noise_is_joined_by_one_bar() -> None:
    rng = np.random.default_rng(0)
    noise = {name: list(rng.random(6)) for name in ("l2", "l1", "ssim", "ce")}
    result = found([group("a", frd(**noise))])
    assert result.p > 0.05
    assert result.joined() == [(0, 3)]


def test_agreement_between_seeds_datasets_models_and_metrics() -> None:
    same = {
        name: {"frd_gen": [v] * 3, "frd_recon": [-v] * 3}
        for name, v in (("l2", 1.0), ("l1", 2.0), ("ce", 3.0))
    }
    turned = {name: {"frd_gen": [-v[0] for v in [m["frd_gen"]] * 3]} for name, m in same.items()}
    groups = [group("a", same), group("a", same, "conv5"), group("b", turned)]
    values = agreement(found(groups))
    assert values["seeds"] == pytest.approx(1)
    assert values["models"] == pytest.approx(1)
    assert values["datasets"] == pytest.approx(0)
    assert values["metrics"] == pytest.approx(0)


def test_the_figures_numbers_are_those_of_the_table() -> None:
    groups = clear()
    figure, table = drawn(groups), rank_table(groups)
    assert table is not None
    assert figure.name == "ranks" and figure.wide
    assert list(figure.data["loss"]) == [row.label for row in table.rows[:-1]]
    assert list(figure.data["mean_rank"]) == [row.entries[0].value for row in table.rows[:-1]]
    assert list(figure.data["mean_rank_all_metrics"]) == [
        row.entries[-1].value for row in table.rows[:-1]
    ]


def test_a_figure_of_many_losses_shows_the_best_and_writes_all() -> None:
    groups = clear(conditions=1, seeds=2, losses=38)
    figure = drawn(groups)
    labels = [text.get_text() for text in figure.figure.axes[0].get_yticklabels()]
    assert labels == list(found(groups).means.index[:MOST])
    assert len(figure.data) == 38
    assert any(
        text.get_text() == f"the best {MOST} of 38 losses" for text in figure.figure.axes[0].texts
    )
    assert figure.figure.get_figheight() < 9.5


@pytest.mark.parametrize("count", [2, 3, 10, 36, 120])
@pytest.mark.parametrize("chance", [0.2, 0.05, 1e-4])
def test_the_studentised_range_is_scipys(count: int, chance: float) -> None:
    expected = stats.studentized_range.isf(chance, count, np.inf)
    assert range_point(chance, count) == pytest.approx(float(expected), rel=1e-5)
