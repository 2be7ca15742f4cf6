"""The registry: what is listed, what is found, and what listing must not import."""

import inspect
import subprocess
import sys

import pytest

from datasets import REGISTRY, UnknownDatasetError, find


def test_every_entry_leads_to_a_class_with_the_contract() -> None:
    for name, entry in REGISTRY.items():
        found = find(name)
        assert (entry.name, found.__name__) == (name, entry.attribute)
        assert callable(found.load) and callable(found.image_shape)
        for parameter in list(inspect.signature(found).parameters.values()):
            assert parameter.annotation is not inspect.Parameter.empty
            assert parameter.kind is inspect.Parameter.KEYWORD_ONLY or parameter.name == "path"


def test_what_needs_files_says_which_and_where_they_are_to_be_had() -> None:
    assert [name for name, entry in REGISTRY.items() if entry.needs == "nothing"] == [
        "photos",
        "digits",
    ]
    own = {"photos", "digits", "folder", "nifti"}
    for name, entry in REGISTRY.items():
        assert entry.needs and entry.summary
        assert bool(entry.page) == (name not in own) and bool(entry.licence) == (
            entry.needs != "nothing"
        )


def test_named_sets_take_the_folder_of_their_files_as_a_keyword() -> None:
    for name, entry in REGISTRY.items():
        parameters = inspect.signature(find(name)).parameters
        assert ("root" in parameters) == bool(entry.page)
        assert ("path" in parameters) == (name in ("folder", "nifti"))


def test_an_unknown_name_is_a_value_error_with_the_nearest_names() -> None:
    with pytest.raises(UnknownDatasetError, match="did you mean photos") as caught:
        find("photo")
    assert isinstance(caught.value, ValueError)
    with pytest.raises(ValueError, match="unknown dataset 'zzz': there are photos, digits, folder"):
        find("zzz")


def test_listing_imports_no_numpy_and_loading_digits_no_sklearn() -> None:
    code = (
        "import sys, datasets; assert not {'numpy', 'torch', 'PIL'} & set(sys.modules);"
        "datasets.find('digits')().load(); datasets.find('photos')(train=7).load();"
        "assert not {'sklearn', 'skimage', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
