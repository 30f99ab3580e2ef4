"""The weighted sum of terms that a configuration asks for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn

from deepmatte.batch import CRITICS, Batch, Matte
from deepmatte.errors import InputError
from deepmatte.losses.inputs import Output, outputs_of, prepare
from deepmatte.losses.regression import alpha_loss
from deepmatte.losses.table.balance import cosines_of, gradient_products, ratios_at_alpha
from deepmatte.losses.table.options import check_options
from deepmatte.losses.table.row import Row
from deepmatte.losses.table.schedule import first_gap, parse_weight
from deepmatte.losses.terms import FITS, LOSSES, OWN_READS, Kind, Loss, Term

OwnTerms = Callable[[str, str], Loss]
"""Returns a user's own function from the key that names it and its ``module:function``, or refuses it."""

ADDED = ("ddc", "temporal", "ssim", "adversarial", "discriminator", "foreground", "error")
"""Terms that are younger than the first checkpoints of `balance: gradient`."""
SHARED: dict[str, Any] = {"balance": "none", "balance_steps": 50, "log_cosines": False}
"""Keys of the section that belong to no single term."""


@dataclass
class LossResult:
    """The loss of one step.

    Attributes:
        total: the sum of ``weights[name] * factors[name] * terms[name]``.
        terms: the unweighted values of the terms that were computed, in the order of the table.
        weights: their weights at this point of the run.
        factors: their scales under ``balance: gradient``, else 1.
        cosines: ``alpha_vs_dice`` and so on under ``log_cosines: true``; empty otherwise, and without
            gradients.
        quantities: what terms measured beside their values, by ``term/name``; under ``log_cosines: true``
            also the norms of their weighted gradients at the prediction, by ``gradient/term``.
    """

    total: Tensor
    terms: dict[str, Tensor]
    weights: dict[str, float]
    factors: dict[str, float] = field(default_factory=dict)
    cosines: dict[str, Tensor] = field(default_factory=dict)
    quantities: dict[str, Tensor] = field(default_factory=dict)


class LossTable(nn.Module):
    """The weighted sum of the terms whose weight is not 0; the others are never computed.

    Args:
        config: the ``loss`` section as a plain dict. Each row is ``NAME: {weight: …, options…}``. NAME is a
            term of `LOSSES`; a row of any other name has ``term: NAME``, to use a term twice, for instance
            with different regions, or ``term: module:function`` for a user's own function. The shared keys
            are those of `SHARED`.
        own_terms: returns a user's own function; without it there are none but `LOSSES`.

    Raises:
        InputError: an unknown term or option, a value out of range, a negative weight, a schedule outside the
            run, all weights zero, or regularisers alone.

    >>> from deepmatte.batch import example_batch
    >>> table = LossTable({"alpha": {"weight": 0.5, "distance": "l1"}, "composition": {"weight": 0.5}})
    >>> batch = example_batch(size=8)
    >>> table(Matte(0.5 * batch["alpha"]), batch).terms["alpha"]
    tensor(0.2327)
    """

    calibration: Tensor

    def __init__(self, config: Mapping[str, Any], own_terms: OwnTerms | None = None) -> None:
        super().__init__()
        shared, rows = _read(config, own_terms)
        self.balance: str = shared["balance"]
        self.balance_steps: int = shared["balance_steps"]
        self.log_cosines: bool = shared["log_cosines"]
        self.names = [row.name for row in rows]
        self.rows = [row for row in rows if not row.weight.is_zero]
        _require_fit(self.rows)
        if self.balance == "gradient":
            # One line for each row, even for rows that are off, so that the state dict is the same for stages
            # with other weights: number of steps, sum of the unit's gradient norms, sum of the term's.
            self.register_buffer("calibration", torch.zeros(len(rows), 3))

    def forward(
        self, matte: Matte, batch: Batch, progress: float = 0.0, in_stage: float | None = None
    ) -> LossResult:
        """Compute the terms that are on at ``progress``, the fraction of the run from 0 to 1.

        ``in_stage`` is that of the stage, for schedules over it; without it the stage is the whole run.
        """
        weights = self.weights_at(progress, in_stage)
        with torch.autocast(matte.alpha.device.type, enabled=False):
            full, batch = prepare(matte, batch)
            rows = {row.name: row(full, batch) for row in self.rows if row.name in weights}
            terms = {name: value for name, (value, _) in rows.items()}
            beside = {f"{name}/{key}": number for name, row in rows.items() for key, number in row[1].items()}
            learns = torch.is_grad_enabled() and full.alpha.requires_grad
            cosines, norms = self._compare(terms, full, batch) if learns else ({}, {})
            factors = {name: self._factor(name) for name in terms}
            beside |= {f"gradient/{name}": weights[name] * factors[name] * norms[name] for name in norms}
            weighted = {name: weights[name] * factors[name] * value for name, value in terms.items()}
            if learns:
                players = {row.name for row in self.rows if row.kind == "adversarial" and not row.teaches}
                beside |= ratios_at_alpha(weighted, players, full)
            # Every output takes part, so that under DDP no parameter is without a gradient.
            alpha, *others = (0 * output.sum() for output in outputs_of(full))
            total = sum((*others, *weighted.values()), alpha)
        return LossResult(total, terms, weights, factors, cosines, beside)

    def check(self, served: Collection[str], place: str = "the training data") -> None:
        """Refuse data that a term can't be computed on, before any training.

        Args:
            served: the batch keys that the data has.
            place: what to call the data in the message.

        Raises:
            InputError: a term whose weight is not 0 reads another key; the message names both.
        """
        for row in self.rows:
            missing = [key for key in row.reads if key not in served]
            if missing:
                raise InputError(row.lacks(missing, place))

    def teaches(self, critic: str) -> bool:
        """Return whether a critic of the model learns from a term."""
        return any(critic in row.teaches for row in self.rows)

    def check_outputs(self, gives: Collection[str]) -> None:
        """Refuse a model without the outputs that terms read beside alpha, which are ``gives``.

        Raises:
            InputError: it names the first such term.
        """
        for row in self.rows:
            for output in row.predicted:
                if output not in gives:
                    raise InputError(
                        f"loss.{row.name} reads the predicted {output}, which this model does not have: "
                        f"set loss.{row.name}.weight=0, or choose a model that has it, such as model=bgmv2"
                    )

    def refuse_critics(self, place: str) -> None:
        """Refuse terms that a critic has part in where values have to mean the same all along.

        Raises:
            InputError: it names the first such term.
        """
        for row in self.rows:
            if set(row.reads) & set(CRITICS):
                cure = "choose another, such as val/sad"
                raise InputError(f"{place}: loss.{row.name} is what a network that learns says; {cure}")

    def without_critics(self) -> LossTable:
        """Return the same table, scales included, without the rows that a critic has part in."""
        table = copy.copy(self)
        table.rows = [row for row in self.rows if not set(row.reads) & set(CRITICS)]
        return table

    def fits(self, batch: Batch) -> bool:
        """Return whether there is a term, and the batch has every key that terms read."""
        return bool(self.rows) and all(key in batch for row in self.rows for key in row.reads)

    def weights_at(self, progress: float, in_stage: float | None = None) -> dict[str, float]:
        """Return the weights of the terms that are on at ``progress`` of the run, and there in the stage."""
        done = {"run": progress, "stage": progress if in_stage is None else in_stage}
        weights = {row.name: row.weight(done[row.weight.over]) for row in self.rows}
        return {name: weight for name, weight in weights.items() if weight > 0}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Take the lines of a checkpoint that is older than the terms `ADDED`, which have none in it."""
        saved = state_dict.get(f"{prefix}calibration")
        old = [line for line, name in enumerate(self.names) if name not in ADDED]
        if saved is not None and len(saved) == len(old) < len(self.names):
            state_dict[f"{prefix}calibration"] = saved.new_zeros(len(self.names), 3)
            state_dict[f"{prefix}calibration"][old] = saved
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _factor(self, name: str) -> float:
        """Return the factor that scales a term's gradient to the norm of the unit's, 1 before calibration."""
        if self.balance == "none":
            return 1.0
        _, unit, norm = self.calibration[self.names.index(name)].tolist()
        return unit / norm if norm > 0 and unit > 0 else 1.0

    def _compare(
        self, terms: dict[str, Tensor], matte: Matte, batch: Batch
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Calibrate terms in their first steps; return cosines and norms of gradients that are logged."""
        lines = {name: self.names.index(name) for name in terms} if self.balance == "gradient" else {}
        uncalibrated = [
            name for name, line in lines.items() if self.calibration[line, 0] < self.balance_steps
        ]
        if not uncalibrated and not self.log_cosines:
            return {}, {}
        unit = [alpha_loss(matte, batch, distance="l1")] if uncalibrated else []
        products = gradient_products([*terms.values(), *unit], matte)
        norms = products.diagonal().sqrt()
        for position, name in enumerate(terms):
            if name in uncalibrated:
                step = torch.stack([torch.ones_like(norms[-1]), norms[-1], norms[position]])
                self.calibration[lines[name]] += step
        if not self.log_cosines:
            return {}, {}
        return cosines_of(list(terms), products), dict(
            zip(terms, norms, strict=False)
        )  # the unit has no name


def _read(config: Mapping[str, Any], own_terms: OwnTerms | None) -> tuple[dict[str, Any], list[Row]]:
    """Split the section into shared keys, with defaults, and rows in the order of `LOSSES`, own last."""
    shared = {**SHARED, **{key: value for key, value in config.items() if key in SHARED}}
    if shared["balance"] not in ("none", "gradient"):
        raise InputError(f"loss.balance={shared['balance']!r}: choose none or gradient")
    if type(shared["balance_steps"]) is not int or shared["balance_steps"] < 1:
        raise InputError(
            f"loss.balance_steps={shared['balance_steps']!r}: expected a number of steps, at least 1"
        )
    if type(shared["log_cosines"]) is not bool:
        raise InputError(f"loss.log_cosines={shared['log_cosines']!r}: expected true or false")
    order = {name: place for place, name in enumerate(LOSSES)}
    names = sorted((key for key in config if key not in SHARED), key=lambda key: order.get(key, len(order)))
    return shared, [_row(name, config[name], own_terms) for name in names]


def _row(name: str, section: Any, own_terms: OwnTerms | None) -> Row:
    """Read and check one row."""
    key = f"loss.{name}"
    if name not in LOSSES and not (isinstance(section, Mapping) and "term" in section):
        keys = f"{', '.join(LOSSES)} and the shared keys {', '.join(SHARED)}"
        raise InputError(f"{key}: unknown loss; choose among {keys}")
    if not isinstance(section, Mapping):
        raise InputError(f"{key}={section!r}: write {key}.weight={section!r}")
    options = dict(section)
    weight = parse_weight(f"{key}.weight", options.pop("weight", 0))
    term = _term(f"{key}.term", options.pop("term", name), own_terms)
    output: Any = "final" if "output" in term.defaults else options.pop("output", "final")
    if output not in get_args(Output):
        raise InputError(f"{key}.output={output!r} is none of {', '.join(get_args(Output))}")
    checked = check_options(key, term.function, options)
    complaint = term.complaint(checked) if term.complaint else None
    if complaint:
        raise InputError(f"{key}.{complaint}")
    function = partial(term.function, **checked)
    return Row(name, function, term.kind, term.reads, weight, output, term.teaches, term.predicted)


def _term(key: str, name: Any, own_terms: OwnTerms | None) -> Term:
    """Return the term of that name, or a user's own ``module:function``."""
    if isinstance(name, str) and name in LOSSES:
        return LOSSES[name]
    if own_terms is None or ":" not in str(name):
        raise InputError(f"{key}={name!r}: choose among {', '.join(LOSSES)}, or give module:function")
    own = own_terms(key, str(name))
    kind: Kind = getattr(own, "kind", "regression")
    if kind not in get_args(Kind):
        kinds = ", ".join(get_args(Kind))
        raise InputError(
            f"{key}={name!r}: expected a function whose attribute `kind`, if any, is one of {kinds}"
        )
    return Term(own, kind, tuple(getattr(own, "reads", OWN_READS)), tuple(getattr(own, "teaches", ())))


def _require_fit(rows: list[Row]) -> None:
    """Refuse a table in which, at some point of the run, no term but regularisers is on."""
    if not rows:
        raise InputError("all loss weights are 0: set one, such as loss.alpha.weight=1")
    fits = [row for row in rows if row.kind in FITS]
    if not fits:
        names = ", ".join(f"loss.{row.name}" for row in rows)
        kinds = "regularisers" if all(row.kind == "regulariser" for row in rows) else "such terms"
        raise InputError(f"{names}: {kinds} alone don't learn the true matte; add loss.alpha.weight=1, say")
    gap = first_gap([row.weight for row in fits])
    if gap:
        raise InputError(f"loss weights: {gap} only regularisers are on; widen the schedule of another term")
