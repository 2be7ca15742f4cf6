"""Options of components: resolved with their defaults, or refused in one sentence."""

import pytest

from harness import components
from harness.components import loss_spec, resolve, resolve_loss
from harness.errors import HarnessError


def test_defaults_are_filled_in_and_left_out_of_the_spec() -> None:
    found = resolve("model", "conv4[width=8]")
    assert found.options == {"width": 8, "mlp": 2048, "blocks": None}
    assert found.spec == "conv4[width=8]"
    assert resolve("model", "conv4[mlp=2048,width=8]") == found


def test_a_size_is_always_shown() -> None:
    assert resolve("dataset", "digits").spec == "digits32"
    assert resolve("dataset", "digits[size=32]") == resolve("dataset", "digits32")


def test_an_integer_may_stand_for_a_real_number() -> None:
    first, second = resolve_loss("ssim[sigma=2]")[0], resolve_loss("ssim[sigma=2.0]")[0]
    assert first == second
    assert isinstance(first.options["sigma"], float)


def test_canonical_text_of_a_sum_reads_back() -> None:
    terms = resolve_loss("ssim[window=7,sigma=1.5] + 0.123456789*l1 + 100.0*l2")
    assert loss_spec(terms) == "ssim[window=7] + 0.123456789*l1 + 100*l2"
    assert resolve_loss(loss_spec(terms)) == terms


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("dataset", "tests", "unknown dataset 'tests' (did you mean 'folder:tests'?)"),
        ("dataset", "digit", "unknown dataset 'digit' (did you mean 'digits'?)"),
        ("dataset", "zzz", "unknown dataset 'zzz'. See: harness list datasets"),
        ("model", "conv5", "unknown model 'conv5' (did you mean 'conv5-bilinear'?)"),
        ("model", "conv5-linear", "(did you mean 'conv5-bilinear'?). See: harness list models"),
        (
            "model",
            "conv4[widht=8]",
            "unknown option 'widht' of model 'conv4' (did you mean 'width'?)",
        ),
        ("model", "conv4[q=8]", "its options: blocks, mlp, width"),
        ("model", "conv4[width=wide]", "model 'conv4': option width = 'wide' is invalid"),
        (
            "model",
            "conv4[width=true]",
            "option width = True is invalid (must be a whole number)",
        ),
        ("model", "conv4[width=8.0]", "option width = 8.0 is invalid"),
        ("model", "conv4[image_shape=3]", "unknown option 'image_shape'"),
        ("dataset", "folder[size=8]", "dataset 'folder': option path is missing (field required)"),
    ],
)
def test_one_sentence_for_a_wrong_component(kind: components.Kind, text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        resolve(kind, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simm", "unknown loss 'simm' (did you mean 'ssim'?). See: harness list losses"),
        ("l2 + ssim[windo=3]", "unknown option 'windo' of loss 'ssim' (did you mean 'window'?)"),
        ("l2[a=1]", "its options: none"),
        ("0*l2", "the weight 0 in '0*l2' must be positive and finite"),
        ("-1*l2 + l1", "the weight -1"),
        ("inf*l2", "the weight inf"),
        ("ssim[sigma=nan]", "option sigma = 'nan' is invalid"),
    ],
)
def test_one_sentence_for_a_wrong_loss(text: str, message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        resolve_loss(text)
    assert message in str(caught.value)


def test_values_that_only_building_can_refuse_name_the_component() -> None:
    with pytest.raises(HarnessError, match=r"^conv4\[width=0\]: width is 0; give a positive"):
        components.build_model(resolve("model", "conv4[width=0]"), (1, 16, 16), 4)
    with pytest.raises(HarnessError, match=r"^digits4: size=4 is not an integer from 8 to 256"):
        components.build_dataset(resolve("dataset", "digits4"))
    with pytest.raises(HarnessError, match=r"^ssim\[window=33\]"):
        components.build_loss(resolve_loss("l2 + ssim[window=33]"), (1, 16, 16), 4)


def test_none_is_a_word_where_an_option_has_it_and_else_no_value() -> None:
    for text in ("sharpness[padding=none]", "sharpness[padding='none']"):
        (term,) = resolve_loss(text)
        assert term.options["padding"] == "none"
    (term,) = resolve_loss("stft[base=none,phase_weighting=none]")
    assert (term.options["base"], term.spec) == ("none", 'stft[base="none"]')
    (term,) = resolve_loss("sigma[floor=none]")
    assert term.options["floor"] is None


def test_a_number_out_of_all_range_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import losses

    def overflow(*_: object, **__: object) -> None:
        raise OverflowError("math range error")

    monkeypatch.setattr(losses, "build", overflow)
    with pytest.raises(HarnessError, match=r"^l2: an option is out of range \(math range error\)"):
        components.build_loss(resolve_loss("l2"), (1, 16, 16), 4)


def test_every_option_of_every_component_can_be_written() -> None:
    for kind in ("loss", "model", "dataset"):
        for name in components.registry(kind):
            components.options(kind, name)


def test_builds_one_loss_or_a_sum() -> None:
    one = components.build_loss(resolve_loss("l2"), (1, 16, 16), 4)
    scaled = components.build_loss(resolve_loss("3*l2"), (1, 16, 16), 4)
    assert type(one).__name__ == "L2"
    assert scaled.beta_range == tuple(3 * bound for bound in one.beta_range)


def test_source_modules_are_those_of_the_named_components() -> None:
    assert components.source_modules("loss", ["l1", "l2", "ssim"]) == [
        "losses.pointwise",
        "losses.structural",
    ]
