"""Who is compared with whom, under which settings, and where the two differ on purpose.

A pair without `because` must agree. A pair with one must differ by far more than rounding does, and its `undone`, the same pair
with the cause taken away, must agree: so the cause is the whole difference.
"""

from dataclasses import dataclass

from tests.peers import ours, theirs
from tests.peers.training import Contender, DType

BOTH: tuple[DType, ...] = ("float32", "float64")


@dataclass(frozen=True)
class Pair:
    left: Contender
    right: Contender
    because: str = ""
    undone: "Pair | None" = None
    dtypes: tuple[DType, ...] = BOTH

    @property
    def key(self) -> str:
        return f"{self.left} ({self.left.written}) against {self.right} ({self.right.written})"


def same(rule: object, other: object, *settings: dict) -> list[Pair]:
    """One pair a setting, where both take the same words."""
    return [Pair(rule(**one), other(**one)) for one in settings]


def differs(left: Contender, right: Contender, because: str, undone: Pair, *, dtypes: tuple[DType, ...] = BOTH) -> list[Pair]:
    """The differing pair and the pair that agrees."""
    return [Pair(left, right, because, undone, dtypes), undone]


FRAME = (("rank", 4), ("update_proj_gap", 200), ("scale", 0.25))
SMALL = (("rank", 2), ("update_proj_gap", 200), ("scale", 1.0))
OFTEN = (("rank", 4), ("update_proj_gap", 10), ("scale", 0.25))


def framed(frame: tuple) -> tuple:
    """The words of galore_torch in ours."""
    words = {"update_proj_gap": "update_gap"}
    return tuple((words.get(name, name), value) for name, value in frame)


SGD = same(
    ours.gradient_descent, theirs.torch_sgd,
    dict(lr=0.1), dict(lr=0.03, momentum=0.9), dict(lr=0.03, momentum=0.8, dampening=0.3),
) + [
    Pair(ours.gradient_descent(lr=0.03, momentum=0.9, nesterov="on"), theirs.torch_sgd(lr=0.03, momentum=0.9, nesterov=True)),
    Pair(ours.gradient_descent(lr=0.1, weight_decay_around=0.1), theirs.torch_sgd(lr=0.1, weight_decay=0.1)),
]  # fmt: skip

LOMO = [
    *same(ours.lomo, theirs.lomo, dict(lr=0.1), dict(lr=0.3, clip_grad_norm=0.5), dict(lr=0.1, weight_decay=0.1)),
    *same(ours.lomo, theirs.ported_lomo, dict(lr=0.1), dict(lr=0.3, clip_grad_norm=0.5), dict(lr=0.03)),
    *same(theirs.torch_sgd, theirs.lomo, dict(lr=0.1)),
    *same(theirs.lomo, theirs.ported_lomo, dict(lr=0.1)),
]

ADAM = [
    *same(ours.adam, theirs.torch_adam, dict(lr=3e-3), dict(lr=1e-2, betas=(0.8, 0.95)), dict(lr=3e-3, eps=1e-3)),
    *same(
        ours.adamw, theirs.torch_adamw,
        dict(lr=3e-3), dict(lr=1e-2, betas=(0.8, 0.95), weight_decay=0.3), dict(lr=3e-3, eps=1e-3, weight_decay=0.0),
    ),
]  # fmt: skip

MINI = (dict(lr=3e-3), dict(lr=1e-2, betas=(0.8, 0.95), weight_decay=0.3), dict(lr=3e-3, eps=1e-3, weight_decay=0.1))
MISSED = ("out", "gate", "up", "down", "head")  # of our names, what no substring of Adam_mini is part of
ADAM_MINI = [
    *(Pair(ours.mini(**one), theirs.adam_mini(names="Hugging Face", **one)) for one in MINI),
    *(
        Pair(ours.mini(version="1.0", **one), theirs.ported_adam_mini(names="Hugging Face", **({"weight_decay": 0.0} | one)))
        for one in MINI
    ),
    *differs(
        ours.mini(**MINI[0]), theirs.adam_mini(names="ours", **MINI[0]),
        "it finds tensors by substrings of their names, and no substring is part of our names of the attention's output, the "
        "feed-forward matrices and the head, which it leaves whole without an error; ours go by role",
        Pair(ours.mini(whole=MISSED, **MINI[0]), theirs.adam_mini(names="ours", **MINI[0])),
    ),
    *differs(
        theirs.adam_mini(names="Hugging Face", **MINI[0]),
        theirs.ported_adam_mini(names="Hugging Face", weight_decay=0.0, **MINI[0]),
        "the port has the partition of version 1.0: embedding and head per entry, value, output and feed-forward whole",
        Pair(ours.mini(version="1.0", **MINI[0]), theirs.ported_adam_mini(names="Hugging Face", weight_decay=0.0, **MINI[0])),
    ),
]  # fmt: skip

IDLE = (1e-15, 1e-3)  # for torch's Adafactor: its own 1e-30 squared is 0 in float32, and a row without gradient becomes 0/0
GROUPED = (dict(lr=1e-2), dict(lr=1e-2, clip_threshold=0.5, decay_rate=-0.5), dict(lr=3e-2, weight_decay=0.5, clip_grad_norm=0.5))
ADALOMO = [
    *same(ours.adalomo, theirs.adalomo, *GROUPED),
    *same(ours.adalomo, theirs.ported_adalomo, *GROUPED),
    *same(theirs.adalomo, theirs.ported_adalomo, dict(lr=1e-2)),
    Pair(theirs.adalomo(lr=1e-2), theirs.hf_adafactor(lr=1e-2, relative_step=False)),
    Pair(theirs.adalomo(lr=1e-2), theirs.torch_adafactor(lr=1e-2, eps=IDLE)),
    *differs(
        ours.adalomo(lr=1e-2, weight_decay=0.5), theirs.torch_adafactor(lr=1e-2, weight_decay=0.5, eps=IDLE),
        "AdaLomo's decay is lr RMS(w) wd, that of torch's Adafactor is lr wd",
        Pair(
            ours.adafactor(lr=1e-2, weight_decay_around=0.5),
            theirs.torch_adafactor(lr=1e-2, weight_decay=0.5, eps=IDLE),
        ),
    ),
]  # fmt: skip

OUTSIDE = dict(lr=1e-2, relative_step=False)
ADAFACTOR = [
    Pair(ours.adafactor(lr=1e-2), theirs.hf_adafactor(**OUTSIDE)),
    Pair(ours.adafactor(weight_decay=0.5), theirs.hf_adafactor(weight_decay=0.5)),
    # 50 steps of 1e-6 t RMS(w) move a weight by a thousandth, of which float32 has too few digits
    Pair(ours.adafactor(relative_step="warmup"), theirs.hf_adafactor(warmup_init=True), dtypes=("float64",)),
    Pair(
        ours.adafactor(lr=1e-2, beta1=0.9, clip_threshold=0.5, weight_decay=0.5),
        theirs.hf_adafactor(**OUTSIDE, beta1=0.9, clip_threshold=0.5, weight_decay=0.5),
    ),
    Pair(ours.adafactor(lr=1e-2), theirs.torch_adafactor(lr=1e-2, eps=IDLE)),
    Pair(
        ours.adafactor(lr=1e-2, clip_threshold=2.0, decay_rate=-0.5),
        theirs.torch_adafactor(lr=1e-2, d=2.0, beta2_decay=-0.5, eps=IDLE),
    ),
    Pair(ours.adafactor(lr=1e-2), theirs.ported_adafactor(**OUTSIDE, betas=(None, 0.999))),
    Pair(ours.adafactor(weight_decay=0.5), theirs.ported_adafactor(betas=(None, 0.999), weight_decay=0.5)),
    Pair(ours.adafactor(lr=1e-2, beta1=0.9), theirs.ported_adafactor(**OUTSIDE)),
    Pair(theirs.hf_adafactor(**OUTSIDE), theirs.torch_adafactor(lr=1e-2, eps=IDLE)),
    *differs(
        ours.adafactor(lr=1e-2, beta1=0.9), theirs.ported_adafactor_as_it_comes(**OUTSIDE),
        "the port keeps its momentum in bfloat16 unless it is told otherwise",
        Pair(ours.adafactor(lr=1e-2, beta1=0.9), theirs.ported_adafactor(**OUTSIDE)),
    ),
    # at such a rate the training blows rounding up by 1e5, of which float32 has too few digits
    *differs(
        ours.adafactor(lr=0.2), theirs.torch_adafactor(lr=0.2, eps=IDLE),
        "torch's rate is min(lr, 1/sqrt(t)), which binds from t = 26 on",
        Pair(ours.capped_adafactor(lr=0.2), theirs.torch_adafactor(lr=0.2, eps=IDLE), dtypes=("float64",)),
        dtypes=("float64",),
    ),
    *differs(
        theirs.hf_adafactor(**OUTSIDE, scale_parameter=False), theirs.torch_adafactor(lr=1e-2, eps=IDLE),
        "as Hugging Face's Trainer makes it (scale_parameter=False), a step is not relative to the size of its weight",
        Pair(theirs.hf_adafactor(**OUTSIDE), theirs.torch_adafactor(lr=1e-2, eps=IDLE)),
    ),
    Pair(ours.adafactor(lr=1e-3, parameter_scale="off"), theirs.hf_adafactor(lr=1e-3, relative_step=False, scale_parameter=False)),
    Pair(ours.adafactor(lr=1e-2), theirs.torch_adafactor(lr=1e-2)),
]  # fmt: skip

AVERAGED = (dict(lr=3e-4), dict(lr=1e-3, betas=(0.8, 0.99, 0.95), weight_decay=0.5))
EPS = dict(lr=1e-3, eps=(1e-3, 0.1), clip_threshold=0.6)
SPLIT = dict(lr=1e-3, eps1=1e-3, eps2=0.1, clip_threshold=0.6)
CAME = [
    *same(ours.came, theirs.came, *AVERAGED, EPS),
    *same(ours.came, theirs.ported_came, *AVERAGED),
    *same(theirs.came, theirs.ported_came, AVERAGED[0]),
    *differs(
        ours.came(**EPS), theirs.ported_came(**EPS),
        "the port takes eps= without a word and uses eps1 and eps2",
        Pair(ours.came(**EPS), theirs.ported_came(**SPLIT)),
    ),
]  # fmt: skip


def galore(frame: tuple, **settings: object) -> Contender:
    """Ours with the eps of galore_torch, and with its words for a frame."""
    return ours.galore_with_their_eps(frame=framed(frame), **settings)


QUICK = dict(lr=3e-3, betas=(0.8, 0.95))
GALORE_AS_THEIRS = Pair(galore(FRAME, lr=1e-2), theirs.galore(frame=FRAME, lr=1e-2))
GALORE = [
    GALORE_AS_THEIRS,
    Pair(galore(SMALL, **QUICK, eps=1e-3), theirs.galore(frame=SMALL, **QUICK, eps=1e-3)),
    Pair(galore(FRAME, lr=1e-2), theirs.ported_galore(frame=FRAME, lr=1e-2)),
    Pair(galore(SMALL, **QUICK, eps=1e-3), theirs.ported_galore(frame=SMALL, **QUICK, eps=1e-3)),
    Pair(galore(SMALL, **QUICK, after=0.5), theirs.ported_galore(frame=SMALL, **QUICK, weight_decay=0.5)),
    Pair(ours.galore(frame=framed(FRAME), lr=1e-2, eps=1e-15), theirs.galore(frame=FRAME, lr=1e-2, eps=1e-15)),
    *differs(
        ours.galore(frame=framed(FRAME), lr=1e-2, eps=1e-6), theirs.galore(frame=FRAME, lr=1e-2),
        "it adds eps to sqrt(v) before v is corrected for its zero start, so its eps is 1 / sqrt(1 - b2^t) times as large: 32 "
        "times at the first step",
        GALORE_AS_THEIRS,
    ),
    *differs(
        ours.galore(frame=framed(FRAME), lr=1e-2), theirs.galore(frame=FRAME, lr=1e-2),
        "its eps is 1e-6 unless it is told otherwise, ours is Adam's 1e-8; and the line above",
        GALORE_AS_THEIRS,
    ),
    *differs(
        galore(FRAME, lr=1e-2, square="short"), theirs.galore(frame=FRAME, lr=1e-2),
        "it compresses side 1 of a square matrix, the paper and ours side 0",
        GALORE_AS_THEIRS,
    ),
    *differs(
        galore(FRAME, lr=1e-2, weight_decay=0.5), theirs.galore(frame=FRAME, lr=1e-2, weight_decay=0.5),
        "it decays the weight after the step, so the step is decayed too; ours decays the weight before",
        Pair(galore(FRAME, lr=1e-2, after=0.5), theirs.galore(frame=FRAME, lr=1e-2, weight_decay=0.5)),
    ),
    *differs(
        galore(OFTEN, lr=1e-2), theirs.galore(frame=OFTEN, lr=1e-2),
        "moments outlive a refresh, and it leaves the signs of the new singular vectors to LAPACK; ours are fixed",
        Pair(galore(OFTEN, lr=1e-2), theirs.galore(frame=OFTEN, lr=1e-2, signs="fixed")),
    ),
    *differs(
        theirs.galore(frame=OFTEN, lr=1e-2), theirs.ported_galore(frame=OFTEN, lr=1e-2),
        "the port counts steps from 1, so its later refreshes come one step earlier",
        Pair(theirs.galore(frame=FRAME, lr=1e-2), theirs.ported_galore(frame=FRAME, lr=1e-2)),
    ),
]  # fmt: skip


def unique(pairs: list[Pair]) -> tuple[Pair, ...]:
    """Each once: a pair may undo several others. Raises ValueError where two that are not equal have one key."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        if found.setdefault(pair.key, pair) != pair:
            raise ValueError(f"two comparisons must not read alike, and these do: {pair.key}; give one contender another name")
    return tuple(found.values())


PAIRS = unique([*SGD, *LOMO, *ADAM, *ADAM_MINI, *ADALOMO, *ADAFACTOR, *CAME, *GALORE])
