"""The templates beside this module, and the files of ours that they carry."""

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def environment() -> Environment:
    """Return what renders the page and single tables: escaping, and no name left undefined."""
    return Environment(
        loader=PackageLoader("harness.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def source(name: str) -> Markup:
    """Return a file as it stands."""
    return Markup(files("harness.report").joinpath(name).read_text(encoding="utf-8"))
