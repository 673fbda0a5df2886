from .batches import in_chunks as in_chunks
from .checkpoint import flatten as flatten, unflatten as unflatten
from .functional import (
    adapt_penalty_weight as adapt_penalty_weight,
    binary_cross_entropy as binary_cross_entropy,
    cross_entropy as cross_entropy,
    gradient_penalty as gradient_penalty,
    initial_linear as initial_linear,
    initial_xavier as initial_xavier,
    leaky_relu as leaky_relu,
    linear as linear,
    mask_classes as mask_classes,
    mse as mse,
    nll_loss as nll_loss,
    pick as pick,
    pick_rows as pick_rows,
    two_layer_critic as two_layer_critic,
    two_layer_gradient_penalty as two_layer_gradient_penalty,
    unit as unit,
    warm_up as warm_up,
)
from .loop import Training as Training, complete as complete
from .pictures import (
    as_floats as as_floats,
    center_crop as center_crop,
    random_crop as random_crop,
    random_flip as random_flip,
    random_resized_crop as random_resized_crop,
    resized_crop as resized_crop,
)
from .stages import Stages as Stages
from .step import draw as draw
