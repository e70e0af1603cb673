"""How a benchmark is told: a figure a line, beside its anchors, its target and whether it was met."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["ok", "over", "invalid", ""]
STRANGERS_TOLD = 0.1  # from where on they may be felt
Against = Literal["alone", "ratio", "added"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the product and of the anchors, None where it was not measured.

    `at_most` limits the product's figure alone, its ratio to the bare relay's, or what it adds to that.
    """

    name: str
    product: float
    bare: float | None = None
    first: float | None = None
    at_most: float | None = None
    against: Against = "alone"
    decimals: int = 1

    @property
    def measured(self) -> float | None:
        """What the target limits; None when there is no bare figure to compare with."""
        if self.against == "alone":
            return self.product
        if self.bare is None:
            return None
        return self.product - self.bare if self.against == "added" else self.product / self.bare

    @property
    def verdict(self) -> Verdict:
        """Whether the target is met; empty without one."""
        if self.at_most is None or (measured := self.measured) is None:
            return ""
        return "ok" if measured <= self.at_most else "over"

    def cells(self, *, is_valid: bool) -> list[str]:
        """Return what stands in each column."""
        return [
            self.name,
            *(_number(value, self.decimals) for value in (self.product, self.bare, self.first)),
            self._to_bare(),
            self._target(),
            self.verdict if is_valid or not self.verdict else "invalid",
        ]

    def _to_bare(self) -> str:
        if not self.bare:
            return ""
        if self.against == "added":
            return f"{self.product - self.bare:+.{self.decimals}f}"
        return f"{self.product / self.bare:.2f} x"

    def _target(self) -> str:
        match self.at_most, self.against:
            case None, _:
                return ""
            case limit, "alone":
                return f"<= {limit:g}"
            case limit, "added":
                return f"<= +{limit:g}"
            case limit, _:
                return f"<= {limit:g} x"


@dataclass(slots=True)
class Table:
    """The figures of one benchmark. `invalid` says why they count for nothing; `notes` stand below.

    `columns` heads the figures' `product`, `bare` and `first`, where a benchmark compares something else.
    `strangers` is the most that processes with no part in it used meanwhile, of a core.
    """

    title: str = ""
    columns: tuple[str, str, str] = ("product", "bare", "first")
    figures: list[Figure] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    strangers: float = 0.0

    @property
    def is_met(self) -> bool:
        """Whether the run is valid and every target was reached."""
        return not self.invalid and all(figure.verdict != "over" for figure in self.figures)

    def __str__(self) -> str:
        head = ["", *self.columns, f"to {self.columns[1]}", "target", ""]
        rows = [head, *(figure.cells(is_valid=not self.invalid) for figure in self.figures)]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = [self.title, *(_line(row, widths) for row in rows)]
        lines += [f"  INVALID: {reason}" for reason in self.invalid]
        lines += [f"  {note}" for note in self.notes]
        if self.strangers > STRANGERS_TOLD:
            lines.append(f"  other processes used up to {self.strangers:.0%} of a core meanwhile")
        return "\n".join(lines)


def _number(value: float | None, decimals: int) -> str:
    return "" if value is None else f"{value:.{decimals}f}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if 1 <= column <= 4 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return ("  " + "  ".join(cells)).rstrip()
