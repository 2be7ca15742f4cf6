"""The page of the command line, from the very help that `harness VERB --help` prints."""

from typing import Any

from harness.documentation.markdown import GENERATED, code, plain, table

_INTRODUCTION = """\
Exit codes: 0; 1 (of `run`, `probe`: a cell or probe failed; of `evaluate`: a cell was skipped; of
`report --check`: a verdict changed); 2 (a mistake in the command, the grid or a file, told in one
sentence; of `check`: a loss does not keep its contract); 130 (interrupted, the state is saved).
With `--json` the answer is on standard output and everything else on standard error."""


def page() -> str:
    """Return the page: the program's options, then each verb's arguments and options."""
    from typer.main import get_command

    from harness.cli import app

    program: Any = get_command(app)
    context = program.context_class(program, info_name="harness", **program.context_settings)
    parts = [GENERATED, "# Command line", program.help, _INTRODUCTION, _usage(program, context)]
    for name, verb in program.commands.items():
        own = verb.context_class(verb, info_name=name, parent=context)
        parts += [f"## harness {name}", _paragraphs(verb.help), _usage(verb, own)]
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str) -> str:
    return "\n\n".join(plain(" ".join(each.split())) for each in text.split("\n\n"))


def _usage(command: Any, context: Any) -> str:
    """Return how a command is called, and a table of what it takes."""
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    records = [each.get_help_record(context) for each in command.get_params(context)]
    rows = [[code(left), plain(" ".join(right.split()))] for left, right in filter(None, records)]
    return f"```\n{usage}\n```\n\n{table(('', ''), rows)}"
