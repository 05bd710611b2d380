"""How the compiled kernels share the processor with torch."""

import numba
import torch


def match_torch_threads() -> None:
    """Let the compiled kernels use as many threads as torch does."""
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    # the first call starts numba's threads, which may tell OpenMP, and with it torch, their number
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
