"""What is stored: states, records, space; and this machine."""

import json
import math
import os
from pathlib import Path

import pytest
from shell import make_cell, make_grid, make_row

from harness import cleaning, inventory, machine, manifest, prepared
from harness.errors import HarnessError
from harness.store import Store
from harness.terminal import screens
from harness.terminal.wording import as_json

CELLS = make_grid(["l2", "l1"]).cells()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """One finished cell of two, with the digests of now."""
    monkeypatch.setenv("HARNESS_PREPARED", str(tmp_path / "prepared"))
    made = Store(tmp_path / "g")
    made.prepare()
    made.write_grid({"name": "g", "cells": [cell.describe() for cell in CELLS]})
    prepared.ready(CELLS[0].dataset)
    source, data = inventory.digests(CELLS[0])
    assert source is not None
    assert data is not None
    state = {"source_digest": source, "data_hash": data}
    for number in range(3):
        made.write(make_row(CELLS[0], "tune", number, **state))
    for number, value in enumerate((1.0, 2.0)):
        made.write(make_row(CELLS[0], "final", number, **(state | {"frd_gen": value, "beta": 0.2})))
    return made


def test_the_status_of_a_grid(store: Store) -> None:
    done, missing = inventory.status(store)
    assert (done["state"], done["why"]) == ("done", "")
    assert (done["trials"], done["seeds"]) == ({"done": 3, "of": 3}, {"done": 2, "of": 2})
    assert (done["beta"], done["objective"], done["value"]) == (0.2, "frd_gen", 1.5)
    assert (missing["state"], missing["trials"]["done"], missing["value"]) == ("missing", 0, None)
    shown = screens.status([done, missing])
    assert [(each["trials"], each["seeds"]) for each in shown] == [("3/3", "2/2"), ("0/3", "0/2")]


def test_changed_data_makes_a_cell_stale(store: Store, tmp_path: Path) -> None:
    facts = manifest.target(CELLS[0].dataset) / "manifest.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"data_hash": "other"}))
    assert inventory.status(store)[0]["why"] == "its data changed since"
    record = inventory.cell_record(*inventory.find_cell(tmp_path, CELLS[0].id))
    assert (record["state"], record["why"]) == ("stale", "its data changed since")


def test_a_component_that_is_gone_is_no_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import losses

    rest = {name: entry for name, entry in losses.REGISTRY.items() if name != "l1"}
    monkeypatch.setattr(losses, "REGISTRY", rest)
    assert [record["state"] for record in inventory.status(store)] == ["done", "missing"]


def test_everything_known_of_a_cell(store: Store, tmp_path: Path) -> None:
    picture = store.artefact("images", CELLS[0].id, 0, "npz")
    picture.write_bytes(b"")
    (store.root / "_logs" / f"{CELLS[0].id}.log").write_text("\n".join(str(k) for k in range(20)))
    record = inventory.cell_record(*inventory.find_cell(tmp_path, "l2-"))
    assert record["cell"] == CELLS[0].id
    assert record["why"] == "every trial and seed is stored: a run skips it"
    assert record["model"] == {"name": "conv4", "width": 4, "mlp": 16, "blocks": None}
    assert [row["trial"] for row in record["tune"]] == [0, 1, 2]
    assert [row["frd_gen"] for row in record["final"]] == [1.0, 2.0]
    assert str(picture) in record["files"]
    assert record["log"] == [str(k) for k in range(8, 20)]
    missing = inventory.cell_record(*inventory.find_cell(tmp_path, "l1-"))
    assert (missing["state"], missing["tune"], missing["log"]) == ("missing", [], [])


def test_a_cell_is_found_by_a_part_of_its_id_that_is_its_own(store: Store, tmp_path: Path) -> None:
    assert inventory.find_cell(tmp_path, CELLS[1].id)[1]["id"] == CELLS[1].id
    with pytest.raises(HarnessError, match=r"'conv4' matches 2 cells: .*; say which") as caught:
        inventory.find_cell(tmp_path, "conv4")
    first = min(cell.id for cell in CELLS)
    example = f", as in: harness show {first} --results {tmp_path}"
    assert str(caught.value).endswith(example)
    with pytest.raises(HarnessError, match=r"no stored cell matches 'zz'$"):
        inventory.find_cell(tmp_path, "zz")


def test_the_newest_grid_is_taken(store: Store, tmp_path: Path) -> None:
    older = Store(tmp_path / "early")
    older.prepare()
    older.write_grid({"name": "early", "cells": []})
    os.utime(older.root / "_grid.json", (0, 0))
    assert inventory.grids_stored(tmp_path) == ["g", "early"]
    assert inventory.store_of(tmp_path, None).name == "g"
    assert inventory.store_of(tmp_path, "early").name == "early"
    with pytest.raises(HarnessError, match=r"no results of a grid 'erly' .*'early'\?\); stored: g"):
        inventory.store_of(tmp_path, "erly")
    with pytest.raises(HarnessError, match="start with 'harness run --grid smoke'"):
        inventory.store_of(tmp_path / "none", None)


def test_json_has_no_nan() -> None:
    record = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": "β"}
    assert json.loads(as_json(record)) == {
        "a": None,
        "b": [None, 1.5, {"c": None}],
        "d": "β",
    }


def test_the_doctor_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    (tmp_path / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"abc")
    found = machine.doctor(tmp_path / "results")
    assert "does not exist yet" in found["folders"]["results"]
    assert found["folders"]["HARNESS_DATA"] == "not set"
    assert found["weights"]["inception"].startswith("missing: harness prepare --weights inception")
    # FIPS 180-2's example of a digest
    assert "its sha256 starts with ba7816bf, not b8a52dc0" in found["weights"]["squeezenet"]
    assert found["datasets"]["digits"] == "ready"
    assert found["datasets"]["folder"] == "ready for yours: harness prepare folder:PATH"


def test_space_is_counted_by_kind(store: Store, tmp_path: Path) -> None:
    (store.root / "_models" / "a").write_bytes(b"0" * 10)
    (store.root / "_models" / "b").write_bytes(b"0" * 5)
    (tmp_path / "_probe").mkdir()
    (tmp_path / "_probe" / "photos64.parquet").write_bytes(b"123")
    found = {item.kind: item for item in cleaning.usage(tmp_path, ["g"])}
    assert set(found) == {"rows", "models", "data", "probe"}
    assert (found["probe"].grid, found["probe"].bytes) == ("all grids", 3)
    assert (found["models"].files, found["models"].bytes) == (2, 15)
    assert found["rows"].files == 5
    assert found["data"].files == 4
    assert cleaning.clean(list(found.values()), ("models", "data")) == 15 + found["data"].bytes
    assert set(store.rows()["status"]) == {"ok"}
    assert {item.kind for item in cleaning.usage(tmp_path, ["g"])} == {"rows", "probe"}
    for kinds in (("rows",), ("modles",)):
        with pytest.raises(HarnessError, match=r"unknown kind"):
            cleaning.clean([], kinds)


def test_deleted_data_makes_nothing_stale(store: Store, tmp_path: Path) -> None:
    cleaning.clean(cleaning.usage(tmp_path, ["g"]), ("data",))
    assert manifest.read(manifest.target(CELLS[0].dataset)) is None
    assert inventory.status(store)[0]["state"] == "done"


def test_another_cell_of_the_same_data_is_not_stale(store: Store) -> None:
    assert make_cell("ssim").dataset == CELLS[0].dataset
    assert inventory.digests(make_cell("ssim"))[1] == inventory.digests(CELLS[0])[1]
