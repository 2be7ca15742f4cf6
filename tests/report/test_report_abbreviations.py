"""Short names: never longer than they may be, and never the same for two losses."""

import itertools

import pytest

from harness.report.abbreviations import LONGEST, in_two_lines, shortened

NASTY = {
    "same ends": [f"blur[kernel=gaussian,variance={n},size=11,c=0.005]" for n in range(30)],
    "same beginnings": [f"l2 + 0.5*lpips[net=alex,layers=all] + {n}*ffl" for n in range(30)],
    "one letter in the middle": [f"{'x' * 40}{letter}{'x' * 40}" for letter in "abcdefgh"],
    "one letter anywhere": [f"{'x' * n}y{'x' * (60 - n)}" for n in range(61)],
    "only their lengths": ["x" * n for n in range(1, 80)],
    "already short": ["blur[kernel=…,variance=4]", "blur[kernel=gaussian,variance=4]"],
    "like their numbers": [*(f"{'x' * 23}…{n}" for n in range(2, 9)), "x" * 30, "x" * 31],
}


@pytest.mark.parametrize("letters", [4, 10, 20, LONGEST])
@pytest.mark.parametrize("names", NASTY.values(), ids=NASTY)
def test_names_stay_apart(names: list[str], letters: int) -> None:
    found = shortened(names, letters)
    assert set(found) == set(names)
    assert len(set(found.values())) == len(set(names))
    assert max(map(len, found.values())) <= letters
    assert all(found[name] == name for name in names if len(name) <= letters)
    assert found == shortened(reversed(names), letters)


def test_a_name_keeps_its_beginning_and_its_last_options() -> None:
    name = "blur[kernel=gaussian,variance=4]"
    assert shortened([name, "l2"]) == {name: "blur[kernel=…,variance=4]", "l2": "l2"}
    assert shortened([]) == {}


def test_what_both_ends_hide_is_taken_from_the_middle() -> None:
    names = {f"blur[kernel=gaussian,variance={n},size=11,c=0.005]": n for n in (4, 9)}
    for name, text in shortened(names).items():
        assert f"={names[name]}" in text


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("blur[c=0.1]", "blur[c=0.1]"),
        ("blur[c=0.005]", "blur[\nc=0.005]"),
        ("blur[epsilon=0.001]", "blur[epsilon\n=0.001]"),
        ("stft[lambda…,stride=2]", "stft[lambda…\n,stride=2]"),
        ("l2 + 50*ffl + ssim", "l2 + 50*ffl\n+ ssim"),
        ("x" * 24, f"{'x' * 12}\n{'x' * 12}"),
    ],
)
def test_long_titles_break_where_an_option_begins(name: str, lines: str) -> None:
    assert in_two_lines(name, 12) == lines


def test_lines_are_never_too_long() -> None:
    for names, letters in itertools.product(NASTY.values(), (6, 12)):
        for text in shortened(names, 2 * letters).values():
            assert max(map(len, in_two_lines(text, letters).split("\n"))) <= letters
