"""Rules as plain data and back, by an explicit table of classes: nothing that a card says is executed or looked up
elsewhere.

    AdamW(lr=0.1, ...)                        {"type": "AdamW", "lr": 0.1, ...}
    RSO(Adam(lr=0.1), rank=8, ...)            {"type": "RSO", "rank": 8, ..., "inner": {"type": "Adam", ...}}

A card says it in parts: `rule` is the innermost rule, `frame` the wrappers around it (the innermost of them without
`inner`), `partition` tells per tensor whether the frame is on it, how many blocks it has and by which factor its lr
differs from the rule's, `elsewhere` is the rule of the tensors without the frame.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sandbox.handoff.plain_text import printable
from sandbox.handoff.schema import OptimizerPart, TensorPart
from sandbox.optimizers.adafactor import Adafactor
from sandbox.optimizers.adalomo import AdaLomo
from sandbox.optimizers.adam import Adam
from sandbox.optimizers.adam_mini import AdamMini
from sandbox.optimizers.adamw import AdamW
from sandbox.optimizers.base import Rule
from sandbox.optimizers.came import CAME
from sandbox.optimizers.cesgc import CESGC
from sandbox.optimizers.galore import GaLore
from sandbox.optimizers.golore import GoLore
from sandbox.optimizers.gradient_descent import GradientDescent
from sandbox.optimizers.gwt import GWT
from sandbox.optimizers.i3s import I3S
from sandbox.optimizers.parameter_scale import ParameterScale
from sandbox.optimizers.rso import RSO
from sandbox.optimizers.sgc import SGC
from sandbox.optimizers.sgc_adam import SGCAdam
from sandbox.optimizers.sign_descent import SignDescent
from sandbox.optimizers.subzero import SubZero
from sandbox.optimizers.weight_decay import WeightDecay

Data = dict[str, Any]
CLASSES = (
    Adafactor,
    AdaLomo,
    Adam,
    AdamMini,
    AdamW,
    CAME,
    CESGC,
    GaLore,
    GoLore,
    GradientDescent,
    GWT,
    I3S,
    ParameterScale,
    RSO,
    SGC,
    SGCAdam,
    SignDescent,
    SubZero,
    WeightDecay,
)
RULES = {cls.__name__: cls for cls in CLASSES}


def as_data(record: Any, table: Mapping[str, type]) -> Data:
    """A frozen dataclass of the table as plain data; tuples become lists, nested records nested data.

    Raises ValueError for a class that is not in the table: a card could not be read back.
    """
    name = type(record).__name__
    if table.get(name) is not type(record):
        raise ValueError(f"a card can hold {sorted(table)}, got {name}; add its class to the table")
    fields = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    return {"type": name} | {key: _plain(value, table) for key, value in fields.items()}


def as_record(data: Mapping[str, Any], table: Mapping[str, type]) -> Any:
    """The record that `as_data` wrote.

    Raises ValueError for an unknown type, an unknown field, or a value that the class refuses.
    """
    name = data.get("type")
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"a card's type must be one of {sorted(table)}, got {printable(repr(name))}")
    known = [f.name for f in dataclasses.fields(table[name])]
    unknown = [key for key in data if key != "type" and key not in known]
    if unknown:
        raise ValueError(f"{name} has the fields {known}, the card also gives {printable(str(unknown))}")
    values = {key: _value(value, table) for key, value in data.items() if key != "type"}
    hints = get_type_hints(table[name])
    wrong = [key for key, value in values.items() if not _fits(value, hints[key])]
    if wrong:
        raise ValueError(f"{wrong[0]} of {name} is of another type than {hints[wrong[0]]}: {printable(repr(values[wrong[0]]))}")
    try:
        return table[name](**values)
    except TypeError as error:
        raise ValueError(f"{name} cannot be made from {printable(str(values))}: {printable(str(error))}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether plain data is of an annotated type; classes of our own are checked where they are made."""
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    if get_origin(hint) is tuple:
        kinds = get_args(hint) if Ellipsis not in get_args(hint) else get_args(hint)[:1] * len(value if isinstance(value, tuple) else ())
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint if hint in (int, str, bool, NoneType) else True


def optimizer_part(rules: Mapping[str, Rule], shell: str, lr_factors: Mapping[str, float] | None = None) -> OptimizerPart:
    """What a card says about the rules of a model's tensors. lr_factors: what of each lr is a factor; None: nothing.

    Raises ValueError where they are more than a card can say: two frames, or two rules inside or outside the frame.
    """
    factors = {name: (lr_factors or {}).get(name, 1.0) for name in rules}
    parts = {name: _split(as_data(rule, RULES)) for name, rule in rules.items()}
    framed = {name for name, (_, frame, _) in parts.items() if frame is not None}
    within, without = ([name for name in parts if (name in framed) is side] for side in (True, False))
    inside = _only(_at_factor_1({name: parts[name][:2] for name in within}, factors), "inside the frame")
    outside = _only(_at_factor_1({name: parts[name][:2] for name in without}, factors), "without a frame")
    rule, frame = inside or outside
    elsewhere = outside[0] if inside and outside and outside[0] != rule else None
    partition = {
        name: TensorPart(framed=name in framed, n_blocks=cut[0], dim=cut[1], lr_factor=factors[name]) for name, (_, _, cut) in parts.items()
    }
    plain = not framed and all(part.n_blocks is None and part.lr_factor == 1 for part in partition.values())
    table = None if plain else partition
    return OptimizerPart(rule=rule, frame=frame, shell=shell, partition=table, elsewhere=elsewhere)


def rules_of(part: OptimizerPart, names: tuple[str, ...]) -> dict[str, Rule]:
    """The rule of each tensor of a card's model.

    Raises ValueError where the partition does not name each of them exactly once.
    """
    if part.partition is None:
        return dict.fromkeys(names, as_record(part.rule, RULES))
    missing, unknown = set(names) - set(part.partition), set(part.partition) - set(names)
    if missing or unknown:
        raise ValueError(
            f"the partition must name each of the {len(names)} tensors of the model once: "
            f"missing {sorted(missing)[:5]}, unknown {sorted(unknown)[:5]}"
        )
    return {name: _rule_of(part, part.partition[name]) for name in names}


def _rule_of(part: OptimizerPart, tensor: TensorPart) -> Rule:
    if tensor.framed and part.frame is None:
        raise ValueError("the partition puts a frame on a tensor, but the card has no frame")
    data = part.rule if tensor.framed or part.elsewhere is None else part.elsewhere
    if tensor.n_blocks is not None:
        data = data | {"n_blocks": tensor.n_blocks, "dim": tensor.dim}
    if tensor.lr_factor != 1:
        data = data | {"lr": _rate(data) * tensor.lr_factor}
    return as_record(_wrapped(part.frame, data) if tensor.framed else data, RULES)


def _rate(rule: Data) -> float:
    lr = rule.get("lr")
    if not isinstance(lr, int | float):
        raise ValueError(f"a factor of lr needs a number lr in the rule, got {rule.get('type')!r} with lr {lr!r}")
    return lr


def _at_factor_1(pairs: Mapping[str, tuple[Data, Data | None]], factors: Mapping[str, float]) -> list[tuple[Data, Data | None]]:
    """(rule, frame) of each tensor, with the lr that gives its own one when it is multiplied by its factor.

    Division rounds, so its neighbours are tried too: base * factor must be the tensor's lr to the last bit.
    """
    if all(factors[name] == 1 for name in pairs):
        return list(pairs.values())
    wanted = {(factors[name], _rate(rule)) for name, (rule, _) in pairs.items()}
    factor, lr = min(wanted, key=lambda pair: abs(math.log(pair[0])))
    middle = lr / factor
    near = [middle, math.nextafter(middle, math.inf), math.nextafter(middle, 0.0)]
    base = next((base for base in near if all(base * f == rate for f, rate in wanted)), None)
    if base is None:
        rates = sorted(rate for _, rate in wanted)
        raise ValueError(f"no lr times the factors {sorted(factors.values())} gives the rules' own, which are {rates}")
    return [(rule | {"lr": base}, frame) for rule, frame in pairs.values()]


def _wrapped(frame: Data, rule: Data) -> Data:
    inner = _wrapped(frame["inner"], rule) if "inner" in frame else rule
    return frame | {"inner": inner}


def _split(data: Data) -> tuple[Data, Data | None, tuple[Any, int | None]]:
    """(innermost rule without its blocks, wrappers or None, its blocks and their axis or None twice)."""
    if "inner" not in data:
        rule = dict(data)
        cut = (rule.pop("n_blocks"), rule.pop("dim")) if "n_blocks" in rule else (None, None)
        return rule, None, cut
    rule, frame, n_blocks = _split(data["inner"])
    outer = {key: value for key, value in data.items() if key != "inner"}
    return rule, outer if frame is None else outer | {"inner": frame}, n_blocks


def _only(pairs: list[tuple[Data, Data | None]], where: str) -> tuple[Data, Data | None] | None:
    kinds = Counter(repr(pair) for pair in pairs)
    if len(kinds) > 1:
        raise ValueError(f"a card holds one rule {where}, got {len(kinds)}: {', '.join(sorted(kinds))}")
    return pairs[0] if pairs else None


def _plain(value: Any, table: Mapping[str, type]) -> Any:
    if dataclasses.is_dataclass(value):
        return as_data(value, table)
    return [_plain(x, table) for x in value] if isinstance(value, tuple) else value


def _value(value: Any, table: Mapping[str, type]) -> Any:
    if isinstance(value, Mapping):
        return as_record(value, table)
    return tuple(_value(x, table) for x in value) if isinstance(value, list | tuple) else value
