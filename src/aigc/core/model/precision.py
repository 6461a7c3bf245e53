"""A device and a wish into the number format of a model's products."""

from typing import Literal

import torch

__all__ = ["choose"]


def choose(device: torch.device, asked: Literal["auto", "fp32", "bf16"]) -> torch.dtype | None:
    """The dtype for autocast, None for fp32 throughout. The same on the same machine always: nothing is timed.

    `auto` is bf16 where the hardware multiplies it: GPUs from Ampere on, and CPUs with AMX or AVX512-BF16. A CPU that has to
    emulate it takes twice as long as in fp32 (measured: x0.5 on AVX512 without either).
    """
    if asked != "auto":
        return torch.bfloat16 if asked == "bf16" else None
    match device.type:
        case "cuda":
            fast = torch.cuda.get_device_capability(device) >= (8, 0)
        case "cpu":
            fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        case _:
            fast = False
    return torch.bfloat16 if fast else None
