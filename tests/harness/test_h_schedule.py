"""Learning-rate factors against hand numbers, and wrong schedules and optimisers."""

import pytest
import torch

from harness.errors import HarnessError
from harness.schedule import check_optimizer, make_optimizer, make_schedule


@pytest.mark.parametrize(
    ("text", "epochs", "points"),
    [
        ("constant", 10, [(0, 1), (9.5, 1)]),
        ("step[every=4]", 10, [(0, 1), (3.99, 1), (4, 0.5), (8, 0.25)]),
        ("step[every=2,factor=0.1]", 10, [(2, 0.1), (5, 0.01)]),
        ("triangular", 20, [(0, 0.1), (2.5, 0.55), (5, 1), (7.5, 0.55), (10, 0.1), (15, 1)]),
        ("triangular[low=0.5,cycle=4]", 20, [(0, 0.5), (1, 0.75), (2, 1)]),
        ("cosine-tail", 10, [(0, 1), (8, 1), (9, 0.5), (10, 0)]),
        ("cosine-tail[tail=1]", 10, [(0, 1), (5, 0.5), (2.5, 0.5 + 0.5**1.5)]),
    ],
)
def test_factors(text: str, epochs: int, points: list[tuple[float, float]]) -> None:
    factor = make_schedule(text, epochs)
    assert [factor(progress, epochs) for progress, _ in points] == pytest.approx(
        [value for _, value in points]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cosine",
            "unknown schedule 'cosine' (did you mean 'cosine-tail'?); valid: constant, step",
        ),
        (
            "step[each=3]",
            "schedule 'step[each=3]' has an unknown option; its options: every, factor",
        ),
        ("constant[a=1]", "its options: none"),
        ("step[every=0]", "schedule 'step': every = 0 must be a positive number"),
        ("step[every=often]", "every = 'often' must be a positive number"),
        ("triangular[low=-1]", "low = -1 must be a positive number"),
        ("cosine-tail[tail=2]", "tail = 2 must be at most 1"),
        (
            "step",
            "schedule 'step' never starts: its first step comes after 20 epochs, the budget has 20",
        ),
        ("step[every=30]", "lower every or raise epochs"),
    ],
)
def test_one_sentence_for_a_wrong_schedule(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        make_schedule(text, 20)
    assert message in str(caught.value)


def test_a_step_inside_the_budget_starts() -> None:
    assert make_schedule("step", 21)(20, 21) == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adams", "unknown optimizer 'adams' (did you mean 'adam'?)"),
        ("sgd[beta1=0.5]", "unknown option 'beta1' of optimizer 'sgd'"),
        ("adam[beta1=-1]", "beta1 = -1 must be at least 0"),
        ("adam[beta2=1]", "beta2 = 1 must be less than 1"),
        ("adam[eps=tiny]", "eps = 'tiny' must be at least 0"),
        ("sgd[nesterov=true]", "nesterov needs momentum, as in momentum=0.9"),
    ],
)
def test_one_sentence_for_a_wrong_optimizer(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        check_optimizer(text)
    assert message in str(caught.value)


def test_groups_keep_their_own_learning_rate() -> None:
    first, second = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1))
    groups = [{"params": [first]}, {"params": [second], "lr": 0.5}]
    found = make_optimizer("adam[beta1=0.5,eps=1e-6]", groups, 0.1)
    assert isinstance(found, torch.optim.Adam)
    assert [(g["lr"], g["base_lr"], g["betas"], g["eps"]) for g in found.param_groups] == [
        (0.1, 0.1, (0.5, 0.999), 1e-6),
        (0.5, 0.5, (0.5, 0.999), 1e-6),
    ]


def test_every_option_that_is_offered_works() -> None:
    for text in (
        "adamw[beta1=0.8,beta2=0.9,eps=1e-8,weight_decay=0.1]",
        "rmsprop[alpha=0.9,eps=1e-8,momentum=0.1,weight_decay=0.1]",
        "sgd[momentum=0.9,weight_decay=0.1,nesterov=true]",
    ):
        check_optimizer(text)
        make_optimizer(text, [{"params": [torch.nn.Parameter(torch.ones(1))]}], 0.1)
