"""Settings: typed, with defaults; the text below each field is its documentation."""

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from zslbench import ComponentSettings
from zslbench.plugin import Epochs


class TheirSettings(ComponentSettings):
    epochs: Epochs = 30
    """Passes over the training images."""
    batch_size: PositiveInt = 64
    """Images per step."""
    hidden: PositiveInt = 256
    """Width of the hidden layer."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""
    spread: NonNegativeFloat = 1.0
    """Weight of the term that keeps two samples of a class apart; 1: a proper score."""
    per_class: PositiveInt = 200
    """Synthetic features per unseen class."""
