"""The Haar transform of a gradient (sandbox/optimizers/haar.py), and the scale of GWT's steps under Adam.

A block is the N = 2^level neighbours that share one approximation coefficient A = (sum of the block) / sqrt N; the details
are the other N - 1 coefficients.

Symbols: level; rho = mean correlation of two different entries of a block, phi = that of neighbours in an AR(1) row;
delta = largest difference of neighbours, in loss / param; b1 = Adam's first beta; t = number of the step, from 1;
imbalance = |A| / |D| of a pair; n = columns of the gradient; q, g = shape of the Hessian M of a block. Entries have mean 0 and one
variance where a mean energy is spoken of.

What no constant expresses: of the scale laws, that v stands at its mean (b2 -> 1) and that no limiter acts.
"""

import sympy

from sandbox.theory.base import Bound

rho, phi, delta, b1, imbalance, n, q, g = sympy.symbols("rho phi delta b1 imbalance n q g", real=True)
level, t = sympy.symbols("level t", integer=True)

N = 2**level
LEVEL = (level >= 1,)
CORRELATION = (rho <= 1, (N - 1) * rho >= -1)
BETA = (b1 >= 0, b1 < 1)
SHARE = "energy of the approximation over that of the gradient"
HAAR_PROOF = "proofs/proof_haar_energy.py"
DROPPED_PROOF = "proofs/proof_haar_dropped_details.py"
COLUMNS_PROOF = "proofs/proof_haar_columns.py"
SCALE_PROOF = "proofs/proof_gwt_scale.py"
CODE = "derived, for the update of the authors' repository (zqOuO/GWT), read"

share = (1 + (N - 1) * rho) / N
noise_share = (1 - b1) / (1 + b1)  # stationary E m^2 over E g^2 of white noise


def exact(name: str, quantity: str, value: sympy.Expr, requires: tuple, proof: str, source: str = "derived") -> Bound:
    return Bound(f"wavelet.{name}", quantity, value, requires, "exact", source, proof)


energy = exact("energy", "energy of all coefficients over that of the gradient", sympy.Integer(1), (), HAAR_PROOF)

approximation_share = exact("approximation_share", SHARE, share, (*LEVEL, *CORRELATION), HAAR_PROOF)

ar1_share = exact(
    "ar1_share",
    SHARE,
    (N * (1 - phi**2) - 2 * phi * (1 - phi**N)) / (N * (1 - phi)) ** 2,
    (*LEVEL, phi > -1, phi < 1),
    HAAR_PROOF,
    "derived; rows with correlations phi^|i - j|",
)

centred_share = exact(
    "centred_share",
    SHARE,
    (n - N) / (N * (n - 1)),
    (*LEVEL, n >= N, n >= 2, sympy.Eq(sympy.Mod(n, N), 0)),  # blocks of N cut a row without rest
    HAAR_PROOF,
    "derived; every row of the gradient sums to 0, as behind a LayerNorm without scale; mean over all orders of the columns",
)

dropped_error = exact(
    "dropped_error",
    "squared error of dropping the details over the squared gradient",
    (1 - 1 / N) * (1 - rho),
    (*LEVEL, *CORRELATION),
    DROPPED_PROOF,
)

dropped_ramp = exact(
    "dropped_ramp",
    "squared error of dropping the details, per entry",
    delta**2 * (N**2 - 1) / 12,
    (*LEVEL, delta >= 0),
    DROPPED_PROOF,
    "derived; neighbours that differ by at most delta; equality for a ramp",
)

frozen_loss = exact(
    "frozen_loss",
    "loss at which a run without details ends over the loss at its start",
    (1 - 1 / N) * (1 - rho),
    (*LEVEL, *CORRELATION),
    DROPPED_PROOF,
    "derived; on L |W|^2 / 2 with any inner rule that converges; rho is the correlation within the blocks of the start",
)

columns_loss = exact(
    "columns_loss",
    frozen_loss.quantity,
    (1 - rho) * (1 - q) / (1 - rho + rho * g),
    (*LEVEL, *CORRELATION, g > 0, g <= N, q <= 1, N * q >= g),
    COLUMNS_PROOF,
    "derived; sum over blocks w^T M w / 2, g = 1^T M 1 / tr M and q = |M 1|^2 / (1^T M 1 tr M); where M is diagonal, of curvatures h, "
    "g = 1 and q = sum h^2 / (sum h)^2",
)

step_rms = exact(
    "step_rms",
    "root mean square of a step over lr and scale, white noise",
    sympy.sqrt(noise_share * (1 - b1 ** (2 * t)) / N + 1 - 1 / N) / (1 - b1**t),
    (*LEVEL, *BETA, t >= 1),
    SCALE_PROOF,
    CODE,
)

restoring_scale = exact(
    "restoring_scale",
    "scale at which a step has the root mean square of Adam's, white noise",
    sympy.sqrt(noise_share / (noise_share / N + 1 - 1 / N)),
    (*LEVEL, *BETA),
    SCALE_PROOF,
    CODE + "; 0.316, 0.263, 0.244, 0.237 for levels 1 to 4 at b1 = 0.9, where the paper's default is 0.25",
)

detail_amplification = exact(
    "detail_amplification",
    "details of a step over the details divided by the corrected root of v",
    1 / (1 - b1**t),
    (*BETA, t >= 1),
    SCALE_PROOF,
    CODE,
)

first_detail = exact(
    "first_detail",
    "detail of the first step over lr and scale",
    1 / ((1 - b1) * imbalance),
    (*BETA, imbalance > 0),
    SCALE_PROOF,
    CODE + "; so no step bound exists, where Adam's is (1 - b1) / sqrt(1 - b2)",
)
