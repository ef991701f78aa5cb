"""The first key of every random stream that a problem opens: negative, so that none meets a step or a tensor index.

STRUCTURE is paired with the problem's own seed (its rotation, its data); START and BATCH with the seed of the run.
"""

STRUCTURE, START, BATCH = -1, -2, -3
