"""The grammar of specs, and one sentence for every text that does not follow it."""

import pytest

from harness.errors import HarnessError
from harness.specs import Spec, Value, format_spec, format_value, parse, parse_sum, slug

KNOWN = ("photos", "digits", "l2", "conv", "conv4", "ffl")


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("l2", "l2", {}),
        ("conv4", "conv4", {}),  # a registered name wins over a size
        ("photos32", "photos", {"size": 32}),
        ("photos32[seed=1]", "photos", {"size": 32, "seed": 1}),
        (" ffl[ alpha = 0.5 , log=true ] ", "ffl", {"alpha": 0.5, "log": True}),
        (
            "ffl[a=none,b=False,c=-3,d=1e-3,e=word]",
            "ffl",
            {"a": None, "b": False, "c": -3, "d": 1e-3, "e": "word"},
        ),
        ("ffl[a=\"1\",b='x,y']", "ffl", {"a": "1", "b": "x,y"}),
        ("folder:faces[size=64]", "folder", {"path": "faces", "size": 64}),
        ("folder:/a b/c-32", "folder", {"path": "/a b/c-32"}),
        ('folder:"pics[2019]"', "folder", {"path": "pics[2019]"}),
        ("folder:pics[2019][size=8]", "folder", {"path": "pics[2019]", "size": 8}),
        ("folder:bob's[size=8]", "folder", {"path": "bob's", "size": 8}),
        ("nifti:scans", "nifti", {"path": "scans"}),
        ("other32", "other32", {}),  # not registered without its digits: a name of its own
    ],
)
def test_reads_a_component(text: str, name: str, options: dict[str, Value]) -> None:
    assert parse(text, KNOWN) == Spec(name, tuple(options.items()))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("l2", [(1.0, "l2")]),
        ("l2 + 50*ffl", [(1.0, "l2"), (50.0, "ffl")]),
        ("l2+50*ffl[a=1]+0.5*l1", [(1.0, "l2"), (50.0, "ffl"), (0.5, "l1")]),
        ("1e+2*l2 + 1e-2 * l1", [(100.0, "l2"), (0.01, "l1")]),
        ("ffl[a=1e+2] + l2", [(1.0, "ffl"), (1.0, "l2")]),
        ("ffl[a='[ + ]'] + l2", [(1.0, "ffl"), (1.0, "l2")]),
    ],
)
def test_reads_a_weighted_sum(text: str, terms: list[tuple[float, str]]) -> None:
    assert [(weight, spec.name) for weight, spec in parse_sum(text, KNOWN)] == terms


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("photos", {"size": 32, "seed": 1}, "photos32[seed=1]"),
        ("conv4", {"width": 4, "blocks": None}, "conv4[blocks=none,width=4]"),
        ("conv4", {"size": 3}, "conv4[size=3]"),  # its name ends in a digit
        ("ffl", {"a": 0.1, "b": True, "c": 1e-7, "d": 1 / 3}, None),
        ("ffl", {"a": "1", "b": "none", "c": "x,y", "d": "[", "e": "", "f": ' "', "g": "]"}, None),
        ("folder", {"path": "a/b", "size": 64}, "folder:a/b[size=64]"),
        ("folder", {"path": "pics[2019]"}, None),
        ("folder", {"path": "it's"}, None),
        ("folder", {"path": 'say "so"]'}, None),
    ],
)
def test_what_is_written_reads_back(name: str, options: dict[str, Value], text: str | None) -> None:
    written = format_spec(name, options)
    assert text is None or written == text
    found = parse(written, KNOWN)
    assert (found.name, dict(found.options)) == (name, options)
    kinds = {key: type(value) for key, value in found.options}
    assert kinds == {key: type(value) for key, value in options.items()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read the spec ''"),
        ("a b", "cannot read the spec 'a b': write name or name[key=value,…]"),
        ("l2[", "cannot read the spec 'l2['"),
        ("l2]", "the spec 'l2]' closes a bracket that it does not open"),
        ("l2[a]", "cannot read 'a' in 'l2[a]': write key=value"),
        ("l2[=1]", "cannot read '=1' in 'l2[=1]'"),
        ("l2[a=]", "cannot read 'a=' in 'l2[a=]'"),
        ("l2[a=1,]", "an empty place in the spec 'a=1,'"),
        ("l2[a=1,a=2]", "the option 'a' stands twice in 'l2[a=1,a=2]'"),
        ("photos32[size=8]", "the option 'size' stands twice"),
        ("folder:", "the spec 'folder:' names no path: write folder:PATH"),
        ('folder:""', "names no path"),
    ],
)
def test_one_sentence_for_a_component_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        parse(text, KNOWN)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("l2 + ", "an empty place in the spec 'l2 + '"),
        ("+l2", "an empty place"),
        ("2*3*l2", "cannot read the term '2*3*l2' of '2*3*l2': write weight*name"),
        ("l2*2", "cannot read the term 'l2*2'"),
        ("true*l2", "cannot read the term 'true*l2'"),
        ("nan*l2", "cannot read the term 'nan*l2'"),
        ("l2[a=1 + 3*l1", "cannot read the spec 'l2[a=1 + 3*l1'"),
    ],
)
def test_one_sentence_for_a_sum_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        parse_sum(text, KNOWN)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "true"), (100.0, "100"), (1e-5, "1e-05"), (0.30000000000000004,) * 2],
)
def test_writes_values_without_losing_digits(value: Value, text: object) -> None:
    assert format_value(value) == str(text)


def test_slugs_are_parts_of_file_names() -> None:
    assert slug("conv4[width=8,mlp=64]") == "conv4-width8-mlp64"
    assert slug("l2 + 50*ffl[alpha=0.5]") == "l2-50-ffl-alpha0.5"
    assert slug("folder:/home/me/My Faces[size=64]") == "folder-my-faces-size64"


def test_a_bracket_that_a_path_does_not_close_is_named() -> None:
    """Otherwise the option would be taken for a part of the path."""
    with pytest.raises(HarnessError, match=r"does not close its last bracket: add \]"):
        parse("folder:faces[size=16")
    assert dict(parse("folder:sets/[2020]/faces").options) == {"path": "sets/[2020]/faces"}
