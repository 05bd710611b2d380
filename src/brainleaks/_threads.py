"""How the compiled kernels share the processor with torch."""

import numba
import torch


def match_torch_threads() -> None:
    """Let the compiled kernels use as many threads as torch does."""
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
