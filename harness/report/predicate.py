"""The language of claims: comparisons of measured values, written much as the papers state them.

    predicate  = choice { "and" choice }
    choice     = clause { "or" clause }
    clause     = sum ("<" | "<=" | ">" | ">=") sum
               | sum "in" "[" number "," number "]"
               | ("best" | "most" | "least") "(" metrics ";" cell ";" cells ")"
    sum        = product { ("+" | "-") product }
    product    = factor { ("*" | "/") factor }
    factor     = ["-"] number | "(" sum ")" | metric "(" cell ")"
    cell       = loss [" @ " { "dataset=" spec | "model=" spec }]

A value is `fid_gen(blur[c=0.005])`, in the claim's own dataset and model, or elsewhere with
`parameters(l2 @ model=czolbe)`; a place's spec has no spaces. Losses are specs, so in lists commas
inside brackets are theirs. `best(psnr, lpips; blur; l2, l2 + 50*ffl)` means that `blur` is better
than each of the others by each of the metrics; `most` means larger, `least` smaller. `or` joins
single comparisons. `diverged(blur)` is the share of a cell's final models that diverged.
"""

import re
from dataclasses import replace
from itertools import product

from harness.errors import HarnessError, suggestion
from harness.metrics import METRICS
from harness.report.expressions import Comparison, Expression, Number, Operation, Value
from harness.specs import format_spec, format_value, parse_sum

# What else a result row holds that a document makes claims about.
COLUMNS = ("images_per_second", "parameters", "diverged")

_SIGNS = ("<=", ">=", "<", ">")
_RANKS = ("best", "most", "least")
_TOKEN = re.compile(
    r"\s*(?P<number>\d+(\.\d+)?)|\s*(?P<name>[a-z_][a-z0-9_]*)|\s*(?P<sign>[<>]=?|[-+*/()\[\],])"
)


def parse(text: str, dataset: str, model: str) -> tuple[Comparison, ...]:
    """Return the comparisons of a predicate, all of which must hold.

    `dataset` and `model` are where values are taken that name no place of their own.

    Raises:
        HarnessError: the text is not of the language, or names an unknown metric.
    """
    return _Reader(text, dataset, model).predicate()


class _Reader:
    """One pass over the text, from left to right."""

    def __init__(self, text: str, dataset: str, model: str) -> None:
        self.text, self.position = text, 0
        self.places = {"dataset": dataset, "model": model}

    def predicate(self) -> tuple[Comparison, ...]:
        found = self.choice()
        while self.text[self.position :].strip():
            self.take("and")
            found += self.choice()
        return found

    def choice(self) -> tuple[Comparison, ...]:
        first = self.clause()
        if self.peek() != "or":
            return first
        self.take("or")
        if len(first) + len(second := self.choice()) != 2:
            raise self.error("`or` joins single comparisons: write no ranking or range beside it")
        return (replace(first[0], otherwise=second[0]),)

    def clause(self) -> tuple[Comparison, ...]:
        if self.peek() in _RANKS:
            return self.ranking(self.take(*_RANKS))
        left = self.sum()
        sign = self.take(*_SIGNS, "in")
        if sign != "in":
            return (Comparison(left, sign, self.sum()),)
        self.take("[")
        low = self.number()
        self.take(",")
        high = self.number()
        self.take("]")
        return Comparison(low, "<=", left), Comparison(left, "<=", high)

    def ranking(self, rank: str) -> tuple[Comparison, ...]:
        parts = self.brackets().split(";")
        if len(parts) != 3:
            raise self.error(f"`{rank}` takes metrics; a loss; other losses")
        metrics = [self.metric(name.strip()) for name in parts[0].split(",")]
        return tuple(
            Comparison(
                self.value(metric, parts[1]), self.sign(rank, metric), self.value(metric, other)
            )
            for metric, other in product(metrics, _listed(parts[2]))
        )

    def sign(self, rank: str, metric: str) -> str:
        if rank != "best":
            return ">" if rank == "most" else "<"
        direction = METRICS[metric].direction if metric in METRICS else "none"
        if direction == "none":
            raise self.error(f"neither end of {metric} is best: write `most` or `least`")
        return ">" if direction == "maximize" else "<"

    def sum(self) -> Expression:
        left = self.product()
        while self.peek() in ("+", "-"):
            left = Operation(left, self.take("+", "-"), self.product())
        return left

    def product(self) -> Expression:
        left = self.factor()
        while self.peek() in ("*", "/"):
            left = Operation(left, self.take("*", "/"), self.factor())
        return left

    def factor(self) -> Expression:
        token = self.peek()
        if token == "(":
            self.take("(")
            inner = self.sum()
            self.take(")")
            return inner
        if re.fullmatch(r"[a-z_]\w*", token):
            return self.value(self.metric(self.take(token)), self.brackets())
        return self.number()

    def number(self) -> Number:
        negative = self.peek() == "-"
        if negative:
            self.take("-")
        token = self.peek()
        if not token[:1].isdigit():
            raise self.error("a number or metric(loss) belongs here")
        value = float(self.take(token))
        return Number(-value if negative else value)

    def value(self, metric: str, cell: str) -> Value:
        loss, _, place = (part.strip() for part in cell.partition(" @ "))
        try:
            loss = _canonical(loss)
        except HarnessError as error:
            raise self.error(str(error)) from None
        found = dict(self.places)
        for each in place.split():
            key, equals, spec = each.partition("=")
            if key not in found or not (equals and spec):
                raise self.error(f"{each!r} is no place: write dataset=SPEC or model=SPEC")
            found[key] = spec
        return Value(metric, loss, **found, place=place)

    def metric(self, name: str) -> str:
        if name not in (known := (*METRICS, *COLUMNS)):
            raise self.error(f"unknown metric {name!r}{suggestion(name, known)}")
        return name

    def brackets(self) -> str:
        """Take a round bracket with all that it holds, and return the inside."""
        self.take("(")
        start, depth = self.position, 1
        while depth and self.position < len(self.text):
            depth += {"(": 1, ")": -1}.get(self.text[self.position], 0)
            self.position += 1
        if depth:
            self.position = start
            raise self.error("a bracket is not closed")
        return self.text[start : self.position - 1]

    def peek(self) -> str:
        found = _TOKEN.match(self.text, self.position)
        return found[0].strip() if found else ""

    def take(self, *valid: str) -> str:
        token = self.peek()
        if token not in valid:
            raise self.error(f"{' or '.join(map(repr, valid))} belongs here")
        self.position = self.text.index(token, self.position) + len(token)
        return token

    def error(self, reason: str) -> HarnessError:
        rest = self.text[self.position :].strip()
        where = f"at {rest!r}" if rest else "at its end"
        return HarnessError(f"cannot read the predicate {self.text!r} {where}: {reason}")


def _canonical(loss: str) -> str:
    """The spec as a cell of a grid has it, but for options that equal their defaults."""
    return " + ".join(
        format_spec(spec.name, dict(spec.options), sized=False)
        if weight == 1
        else f"{format_value(weight)}*{format_spec(spec.name, dict(spec.options), sized=False)}"
        for weight, spec in parse_sum(loss)
    )


def _listed(text: str) -> list[str]:
    """Split at the commas outside square brackets."""
    return [part.strip() for part in re.split(r",(?![^\[]*\])", text)]
