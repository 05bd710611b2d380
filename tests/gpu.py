"""Tests that need a GPU; they are skipped where torch finds none."""

import pytest
import torch

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
