"""``python -m brainleaks``."""

from brainleaks.cli import main

main()
