"""The command that recovers a network's initial weights from its trained ones."""

import sys
from pathlib import Path

import click

from brainleaks import InputError
from brainleaks.cli.options import PATH
from brainleaks.cli.printing import echo


@click.command()
@click.argument("weights", type=PATH)
@click.option(
    "--out", type=PATH, help="Write the initial weights to this file, in the safetensors format."
)
def beginning(weights: Path, out: Path | None) -> int:
    """Recover the weights that a network had before it was trained from its WEIGHTS file.

    Weights of inputs that never fired are still as torch's generator drew them. They lead to its
    seed or its state, and these to the initial weights of all layers. Takes up to some minutes. The
    exit status is 1 if nothing was recovered.
    """
    from tqdm import tqdm

    from brainleaks.attacks.beginning import recover_initial_weights, sentences
    from brainleaks.files import atomic
    from brainleaks.files.tensors import read_weights

    if out is not None and out.resolve() == weights.resolve():
        raise InputError(f"--out: {out} is WEIGHTS itself; choose another file.")
    read = read_weights(weights)
    with tqdm(total=1 << 32, desc="seeds", unit_scale=True, disable=None, file=sys.stderr) as bar:

        def said(tried: int) -> None:
            bar.update(tried - bar.n)

        found = recover_initial_weights(read.tensors, said=said)
    for sentence in sentences(found):
        echo(sentence)
    if out is not None and found.redrawn:
        kept = {name: tensor for name, tensor in read.tensors.items() if name not in found.initial}
        atomic.write_tensors(out, {**kept, **found.initial})
        if kept:
            echo(f"Not recovered and written as they are in {weights.name}: {', '.join(kept)}.")
        echo(f"initial weights: {out}")
    return int(not found.redrawn)
