"""The paper's notebooks' way, as a yardstick: one step, one class, one member after the other.

snnTorch's neuron is stepped in a Python loop, weights ask for gradients, and attacks go through
classes and population members one by one. The random numbers come from a function, so that the
tests can feed the package's own and compare results.
"""

from collections.abc import Callable
from typing import Any

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch.nn import functional

#: ``uniform(iteration, label)`` gives the numbers of one class in one iteration.
Uniform = Callable[[int, int], Tensor]


class NotebookSNN(nn.Module):
    """``Linear`` - ``Leaky`` - ``Linear`` - ``Leaky``, stepped: ``(T, B, D)`` to two traces."""

    def __init__(self, inputs: int = 784, hidden: int = 3000, classes: int = 10) -> None:
        super().__init__()
        spike = surrogate.fast_sigmoid(slope=40)
        self.fc1 = nn.Linear(inputs, hidden)
        self.lif1 = snntorch.Leaky(beta=0.7, spike_grad=spike)
        self.fc2 = nn.Linear(hidden, classes)
        self.lif2 = snntorch.Leaky(beta=0.7, spike_grad=spike)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem1, mem2 = self.lif1.init_leaky(), self.lif2.init_leaky()
        spikes, membrane = [], []
        for step in x:
            spk1, mem1 = self.lif1(self.fc1(step), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membrane.append(mem2)
        return torch.stack(spikes), torch.stack(membrane)


def train_step(
    net: NotebookSNN, optimiser: torch.optim.Optimizer, x: Tensor, labels: Tensor
) -> None:
    optimiser.zero_grad()
    _, membrane = net(x)
    loss = torch.zeros(())
    for step in membrane:
        loss = loss + functional.cross_entropy(step, labels)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


def brainleaks_v1(
    net: NotebookSNN, label: int, uniform: Uniform, *, iterations: int, shape: Any
) -> Tensor:
    x = torch.zeros(shape)
    for iteration in range(iterations):
        x = x.detach().requires_grad_()
        _, membrane = net(x)
        confidence = membrane.softmax(-1).mean(0)[0, label]
        net.zero_grad()
        confidence.backward()
        size = x.grad.abs()
        probability = (size - size.min()) / (size.max() - size.min())
        mask = (uniform(iteration, label) < probability).float()
        x = ((x + x.grad.sign() * mask) > 0).float()
    return x.detach()


def brainleaks_v2(
    net: NotebookSNN,
    label: int,
    uniform: Uniform,
    *,
    iterations: int,
    shape: Any,
    population: int = 7,
    learning_rate: float = 1.0,
    alpha: float = 0.1,
    sparsity: float = 0.01,
    epsilon: float = 1e-10,
    log_likelihood: bool = False,
    decays: bool = False,
) -> Tensor:
    """``uniform`` gives ``(population, *shape)`` here."""
    rates, squares, velocity = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
    for iteration in range(iterations):
        noise = uniform(iteration, label)
        weighted, costs = torch.zeros(shape), 0.0
        for member in range(population):
            x = (noise[member] < rates).float().requires_grad_()
            _, membrane = net(x)
            if log_likelihood:
                cost = -membrane.log_softmax(-1).mean(0)[0, label]
            else:
                cost = 1 - membrane.softmax(-1).mean(0)[0, label]
            cost = cost + sparsity * x.mean()
            net.zero_grad()
            cost.backward()
            weighted = weighted + x.grad * cost.item()
            costs += cost.item()
        gradient = weighted / costs
        squares = alpha * squares + (1 - alpha) * gradient**2 + (0 if decays else squares)
        velocity = 0.9 * velocity + gradient
        rates = rates - learning_rate / (squares.sqrt() + epsilon) * velocity
        rates = rates.clamp(min=0)
        if rates.max() > 1:
            rates = rates / rates.max()
    return rates
