"""The prepared datasets as people see them: prepared, verified, listed with their state."""

import shlex
from pathlib import Path
from typing import Any

from harness import components, dataset_files, manifest, origin, prepared
from harness.components import Component
from harness.errors import HarnessError
from harness.manifest import Manifest
from harness.preparation import Tell, silent
from harness.preparation import prepare as make
from harness.settings import settings


def fetch_datasets(
    texts: list[str],
    root: Path | None = None,
    tell: dataset_files.Tell = lambda name, done, total: None,
) -> None:
    """Get the files of these datasets that are not at hand and that their owners hand out.

    Nothing is fetched where the user names their folder, `root`, nor before every other dataset
    is found.

    Raises:
        HarnessError: an unknown dataset, missing or unusable files, no connection, a wrong file.
    """
    chosen = [components.resolve("dataset", text) for text in texts]
    absent = [component for component in chosen if root is None and _absent(component)]
    if absent:
        for component in chosen:
            if component not in absent:
                _origin(component, root)
    for component in absent:
        dataset_files.fetch(component, tell)


def prepare_datasets(
    texts: list[str], root: Path | None = None, tell: Tell = silent
) -> list[dict[str, Any]]:
    """Prepare the datasets of these specs from `root`, or else from where `origin.find` looks.

    Returns one record per dataset: where it lies, its images, size, hash and licence.

    Raises:
        HarnessError: an unknown dataset, missing or unusable files.
        StoreError: a dataset cannot be kept.
    """
    chosen = [components.resolve("dataset", text) for text in texts]
    origins = [_origin(component, root) for component in chosen]
    for component, found in zip(chosen, origins, strict=True):
        if found is not None:
            make(component, found, tell=tell)
    return [_record(component) for component in chosen]


def verify_datasets(texts: list[str], root: Path | None = None) -> list[dict[str, Any]]:
    """Compare prepared datasets with their content hashes and their sources; nothing is changed.

    Raises:
        HarnessError: one is not prepared, its arrays are damaged or its source changed since.
    """
    chosen = [components.resolve("dataset", text) for text in texts]
    compared = [_verify(component, root) for component in chosen]
    return [
        _record(component) | {"source": source}
        for component, source in zip(chosen, compared, strict=True)
    ]


def state(name: str) -> str:
    """Return whether a dataset is ready with its default options, else how to get it so.

    Raises:
        HarnessError: unknown name.
    """
    entry = components.registry("dataset")[name]
    if entry.needs == "nothing":
        return "ready"
    if any(
        field.is_required() for field in components.options("dataset", name).model_fields.values()
    ):
        return f"ready for yours: harness prepare {name}:PATH"
    component, data = components.resolve("dataset", name), settings().data
    if manifest.whole(manifest.target(component)) is not None:
        return "ready"
    try:
        found = origin.find(component)
    except origin.MissingDatasetError as error:
        how = dataset_files.how(component, name)
        if dataset_files.published(component) is not None:
            return f"missing: {how}"
        if data is None:
            return f"missing: HARNESS_DATA is not set; get it from {entry.page}, then: {how}"
        return f"missing: {str(error).removeprefix(f'{component.spec}: ')}"
    except HarnessError as error:
        return f"unusable: {str(error).removeprefix(f'{component.spec}: ')}"
    return f"found in {found.root}: harness prepare {name}, or just run"


def _absent(component: Component) -> bool:
    """Tell whether the files of a dataset are needed, not at hand and to be had."""
    if dataset_files.published(component) is None:
        return False
    if manifest.whole(manifest.target(component)) is not None:
        return False
    try:
        origin.find(component)
    except origin.MissingDatasetError:
        return True
    return False


def _origin(component: Component, root: Path | None) -> origin.Origin | None:
    """Return the source, or None where it is gone and the prepared dataset is whole."""
    try:
        return origin.find(component, root)
    except HarnessError:
        known = manifest.whole(manifest.target(component))
        if root is not None or known is None:
            raise
        return origin.look(component, known.root)


def _verify(component: Component, root: Path | None) -> str:
    """Return what the prepared arrays were compared with, beside their own hash."""
    from datasets.images import content_hash

    place = manifest.target(component)
    command = dataset_files.command(component)
    if root is not None:
        command += f" --from {shlex.quote(str(root))}"
    again = f"make it anew with: {command}"
    found = manifest.whole(place)
    if found is None and not (place / manifest.NAME).exists():
        where = f"is not prepared in {place.parent}"
        raise HarnessError(f"{component.spec} {where}: prepare it with: {command}")
    if found is None:
        raise HarnessError(f"{component.spec} is damaged: {again}")
    splits = prepared.load(component)
    present = content_hash({name: getattr(splits, name) for name in manifest.SPLITS})
    if present != found.data_hash:
        raise HarnessError(
            f"the arrays of {component.spec} in {place} have the hash {present[:8]} instead of "
            f"{found.data_hash[:8]}: delete that folder and {again}"
        )
    source = origin.find(component, root) if root else origin.look(component, found.root)
    if source is not None and source.fingerprint != found.fingerprint:
        where = f"the source of {component.spec} in {source.root}"
        raise HarnessError(f"{where} changed since it was prepared: {again}")
    if source is None:
        return f"not compared: it is no longer in {found.root}"
    return f"unchanged in {source.root}" if source.root else "an installed package"


def _record(component: Component) -> dict[str, Any]:
    place = manifest.target(component)
    found = manifest.whole(place)
    if found is None:
        raise HarnessError(f"{component.spec} was deleted from {place}: run the same command again")
    return {
        "name": component.spec,
        "place": str(place),
        **found.counts,
        "shape": "×".join(map(str, found.shape)),
        "MiB": round(found.bytes / 2**20, 1),
        "data_hash": found.data_hash,
        "skipped": _skipped(found, place),
        "licence": found.licence,
    }


def _skipped(found: Manifest, place: Path) -> str:
    if not found.skipped:
        return "0"
    return f"{len(found.skipped)}, listed in {place / manifest.NAME}"
