"""Adapters: networks of other frameworks as targets.

A network comes as a module of snnTorch, SpikingJelly, Norse or plain torch, as a NIR file, or as a
function that answers with scores or labels. It is asked on samples of the user's own: how it takes
them, what it answers with. Where its layers are known it is lowered onto the fused operator, once
that is proved to answer as the network itself does; otherwise the network is used as it is.
"""

from brainleaks.adapters.adapted import Adapted
from brainleaks.adapters.files import load_model
from brainleaks.adapters.modules import adapt
from brainleaks.adapters.validate import FRAMEWORKS

__all__ = ["FRAMEWORKS", "Adapted", "adapt", "load_model"]
