"""Blocks of a Hessian by output class or by neuron: how much of it lies on the diagonal, with exact constants.

Output layer under softmax and cross entropy, logits V h: H_ij = mean_n lambda_ij(n) h_n h_n', lambda = diag(p) - p p', blocks = rows
of V, whatever the features h (inputs, or a network below). Hidden layer: f = V relu(W x), blocks = rows of W.
mass = sum_i |H_ii|^2 / sum_ij |H_ij|^2 (Frobenius); BD = H without its off-diagonal blocks.
Symbols: C = classes (outputs); n = samples; d = inputs; theta = angle of two rows of W; cosine = that of two columns of V;
logit_variance = variance of a logit; gamma = d / n.
"""

import sympy

from sandbox.theory.base import Bound

C, n, d = sympy.symbols("C n d", integer=True)
theta, cosine, gamma, logit_variance = sympy.symbols("theta cosine gamma logit_variance", real=True)
DONG = "Dong et al. (2505.02809), second-hand, has rates in C"
MASS = "share of |H|_F^2 inside the diagonal blocks"
TOP = "largest eigenvalue of BD^-1 H"
RATIO2 = "mean squared Frobenius norm of an off-diagonal block over that of a diagonal block"
OUTPUT, HIDDEN = "proofs/proof_hessian_softmax_blocks.py", "proofs/proof_hessian_relu_blocks.py"

softmax_mass_lower = Bound(
    name="hessian_blocks.softmax_mass_lower",
    quantity=MASS,
    value=sympy.Rational(1, 2),
    requires=(),
    kind="lower",
    source="derived; output layer, every data set, features and weights; attained at C = 2, approached at every C",
    proof=OUTPUT,
)

softmax_mass_upper = Bound(
    name="hessian_blocks.softmax_mass_upper",
    quantity=MASS,
    value=1 - 1 / C,
    requires=(C >= 2,),
    kind="upper",
    source=f"derived; output layer, every data set, features and weights; attained at V = 0. {DONG}",
    proof=OUTPUT,
)

uniform_ratio = Bound(
    name="hessian_blocks.uniform_ratio",
    quantity="Frobenius norm of an off-diagonal block over that of a diagonal block, V = 0",
    value=1 / (C - 1),
    requires=(C >= 2,),
    kind="exact",
    source=f"derived; every data set and features. {DONG}",
    proof=OUTPUT,
)

uniform_error = Bound(
    name="hessian_blocks.uniform_error",
    quantity="|H - BD|_2 / |H|_2 in operator norm, V = 0",
    value=1 - 1 / C,
    requires=(C >= 2,),
    kind="exact",
    source="derived; every data set and features; the same shape as the mass, so a Hessian may be both",
    proof=OUTPUT,
)

block_newton_upper = Bound(
    name="hessian_blocks.block_newton_upper",
    quantity=TOP,
    value=sympy.Integer(2),
    requires=(),
    kind="upper",
    source="derived; output layer, every data set, features and weights; attained at C = 2",
    proof=OUTPUT,
)

block_newton_lower = Bound(
    name="hessian_blocks.block_newton_lower",
    quantity=TOP,
    value=C / (C - 1),
    requires=(C >= 2,),
    kind="lower",
    source="derived; output layer, every data set, features and weights; attained at V = 0",
    proof=OUTPUT,
)

relu_ratio = Bound(
    name="hessian_blocks.relu_ratio",
    quantity="|H_ij|_F / sqrt(|H_ii|_F |H_jj|_F) of two hidden neurons, squared error",
    value=sympy.Abs(cosine),
    requires=(cosine >= -1, cosine <= 1),
    kind="upper",
    source="derived; every data set and every W; attained where both neurons are active on the same samples",
    proof=HIDDEN,
)

# q = share of directions in which both neurons are active; the second moment there is q I plus sin(theta) / (2 pi) on two axes
_both = (sympy.pi - theta) / (2 * sympy.pi)
relu_ratio_gaussian = Bound(
    name="hessian_blocks.relu_ratio_gaussian",
    quantity=RATIO2,
    value=cosine**2
    * (_both * d * (d + 2) + (n - 1) * (d * _both**2 + sympy.sin(theta) ** 2 / (2 * sympy.pi**2)))
    / (d * (d + 2) / 2 + (n - 1) * d / 4),
    requires=(d >= 2, n >= 1, theta >= 0, theta <= sympy.pi, cosine >= -1, cosine <= 1),
    kind="exact",
    source=f"derived; one hidden layer, squared error, Gaussian inputs, rows of W of equal norm and columns of V too. {DONG}",
    proof=HIDDEN,
)

cross_entropy_excess = Bound(
    name="hessian_blocks.cross_entropy_excess",
    quantity="mean squared cosine by which two hidden blocks compare, cross entropy over squared error, isotropic columns of small V",
    value=C / (C - 1),
    requires=(C >= 2,),
    kind="exact",
    source="derived; logits -> 0, where the blocks weigh the covariance of two columns of V, against their product; with columns of one "
    "length also the ratio of mean squared blocks, which for Gaussian columns is (C + 2) / (C + 1): lengths vary, too",
    proof=HIDDEN,
)

softmax_ratio_gaussian = Bound(
    name="hessian_blocks.softmax_ratio_gaussian",
    quantity="C times the Frobenius norm of an off-diagonal block over that of a diagonal block",
    value=sympy.sqrt((1 + gamma * sympy.exp(2 * logit_variance)) / (1 + gamma * sympy.exp(logit_variance))),
    requires=(gamma > 0, logit_variance >= 0),
    kind="exact",
    source="derived; the limit d, n, C -> infinity at d / n = gamma of a linear softmax with Gaussian inputs and weights, taking its "
    f"partition sum for its mean and its weights for independent of the inputs. {DONG}",
    proof="proofs/proof_hessian_softmax_limit.py",
)
