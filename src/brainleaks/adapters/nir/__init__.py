r"""NIR graphs, read from their files and run by equations of our own.

The Neuromorphic Intermediate Representation (Pedersen et al., "Neuromorphic intermediate
representation", Nature Communications 15, 2024) states neurons in continuous time::

    IF       v' = R I
    LIF      tau v' = (v_leak - v) + R I
    LI       tau v' = (v_leak - v) + R I, without spikes
    CubaLIF  tau_syn I' = -I + w_in S,    tau_mem v' = (v_leak - v) + R I
    I        as IF, CubaLI as CubaLIF, without spikes

    fires where v > v_threshold, and then v = v_reset

It carries no time step and knows no other reset. Both are given by who runs it: here by forward
Euler steps of ``dt``, the synaptic current before the membrane, and with ``reset="subtract"``
firing takes ``v_threshold - v_reset`` from the membrane, in the step of the spike. Membranes start
at ``v_leak``, and where there is no leak at ``v_reset``; they are shown as they decide the spike,
before the reset.

What comes back over a circle of edges is of the step before. Nested graphs are opened.

Files are HDF5. They are read without the ``nir`` package, within limits of size, depth and number,
and nothing in them is followed to another file.
"""

from brainleaks.adapters.nir.exports import notes
from brainleaks.adapters.nir.file import read_graph
from brainleaks.adapters.nir.graph import Graph
from brainleaks.adapters.nir.network import NirNetwork, layers_of
from brainleaks.adapters.nir.neurons import Dynamics

__all__ = ["NAME", "Dynamics", "Graph", "NirNetwork", "layers_of", "notes", "read_graph"]

NAME = "nir"
