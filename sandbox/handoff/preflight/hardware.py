"""Cards by name, with what a roofline needs, and sizes of memory as people write them.

    memory        as the vendor says it, 1 GB = 1e9 bytes. What a program sees is more (a card of 80 GB shows 85e9), the CUDA
                  context and fragmentation take some of that back: nothing else is subtracted
    flops         bfloat16 matrix products with sums in float32, dense, per second
    hbm           bytes per second of its memory
    link          bytes per second that one card sends to the others in one direction: NVLink, or the bus where there is none
    bus           bytes per second between card and CPU in one direction (PCIe x16: generation 4 has 32e9, generation 5 64e9)
    workspace     bytes that matrix products of cuBLAS hold all the time: 32 MiB on Hopper and later, 8 MiB and 32 KiB before (PyTorch's
                  CUBLAS_WORKSPACE_CONFIG, recalled)

Sources: vendors' datasheets as quoted second-hand (https://glennklockwood.com/garden/processors/A100 and .../h100 for A100, H100 and
H200, https://waredb.com/processor/nvidia-geforce-rtx-4090 for the RTX 4090); RTX 3090, L40S and B200: recalled. All are peaks; measured
programs reach less, so a time made of them is a lower bound.
"""

import re
from dataclasses import dataclass, replace

GB = 10**9
UNITS = {"GB": GB, "GIB": 2**30, "TB": 10**12, "MB": 10**6, "MIB": 2**20}
MOST = 10**15  # bytes; no card has more, so such a size is a slip


@dataclass(frozen=True)
class Card:
    """named: False where only a size was asked for, and the speeds are those of the slowest card of that size in the table."""

    name: str
    memory: int
    flops: float
    hbm: float
    link: float
    bus: float
    workspace: int = 8 * 2**20 + 32 * 2**10
    named: bool = True


HOPPER = 32 * 2**20
CARDS = (
    Card("rtx-3090", 24 * GB, 71e12, 936e9, 32e9, 32e9),
    Card("rtx-4090", 24 * GB, 165e12, 1008e9, 32e9, 32e9),
    Card("a100-40gb", 40 * GB, 312e12, 1555e9, 300e9, 32e9),
    Card("l40s", 48 * GB, 362e12, 864e9, 32e9, 32e9),
    Card("a100-80gb", 80 * GB, 312e12, 2039e9, 300e9, 32e9),
    Card("h100", 80 * GB, 989e12, 3350e9, 450e9, 64e9, HOPPER),
    Card("h200", 141 * GB, 989e12, 4800e9, 450e9, 64e9, HOPPER),
    Card("b200", 180 * GB, 2250e12, 8000e9, 900e9, 64e9, HOPPER),
)
BY_NAME = {card.name: card for card in CARDS}


def card_of(text: str) -> Card:
    """A card by name, or by the size of its memory ("80GB", "24 GiB").

    Raises ValueError for another name, and for a size that is not above 0 and finite.
    """
    plain = text.strip().lower()
    if plain in BY_NAME:
        return BY_NAME[plain]
    size = re.fullmatch(r"([+-]?[0-9]+(?:\.[0-9]+)?)\s*(gb|gib|tb|mb|mib)", plain)
    if not size:
        raise ValueError(f"a GPU is a name ({', '.join(BY_NAME)}) or a size such as 80GB, got {text[:40]!r}")
    memory = float(size[1]) * UNITS[size[2].upper()]
    if not 1 <= memory <= MOST:
        raise ValueError(f"the memory of a GPU must be above 0 and at most {MOST // GB:,} GB, got {text[:40]!r}")
    larger = [card for card in CARDS if card.memory >= 0.95 * memory] or [CARDS[-1]]
    alike = [card for card in larger if card.memory == larger[0].memory]
    return replace(min(alike, key=lambda card: card.flops), memory=int(memory), named=False)
