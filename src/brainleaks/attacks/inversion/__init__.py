"""Model inversion: attacks that reconstruct one input of each class."""
