"""Settings of f-CLSWGAN and LisGAN. Defaults are those for CUB; presets hold what differs per data set.

"Code" is f-CLSWGAN's, as myaghmaei/f-CLSWGAN at 3ccae2e mirrors it (clswgan.py, script/*.sh), and for LisGAN
lijin118/LisGAN at 4484acb (lisgan.py, README.md).
"""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, PositiveFloat

from zslbench.plugin import ComponentSettings, Count, Epochs, SettingsGroup
from zslbench_common.settings import SoftmaxSettings


class PretrainingSettings(SettingsGroup):
    """The classifier of L_CLS, a softmax over the seen classes (clswgan.py, classifier.py)."""

    epochs: Count = 50
    """Passes over the training images."""
    batch_size: Count = 100
    """Images per step."""
    lr: PositiveFloat = 1e-3
    """Adam's learning rate."""


class CLSWGANSettings(ComponentSettings):
    epochs: Epochs = 56
    """Epochs of ceil(images / batch size) generator updates (code: nepoch)."""
    batch_size: Count = 64
    """Images per step (code: batch_size)."""
    hidden: Count = 4096
    """Width of the hidden layers of G and D (code: ngh, ndh)."""
    latent: Count | None = None
    """Size of z; None: the number of attributes, as in the code (nz)."""
    critic_steps: Count = 5
    """Critic updates per generator update, each on a batch of its own (code: critic_iter)."""
    lr: PositiveFloat = 1e-4
    """Adam's learning rate of G and D (code: lr)."""
    beta1: NonNegativeFloat = 0.5
    """Adam's β₁, the pre-trained classifier's too; β₂ is 0.999 (code: beta1)."""
    lambda_gp: NonNegativeFloat = 10.0
    """λ: weight of the gradient penalty (code: lambda1)."""
    beta: NonNegativeFloat = 0.01
    """β: weight of L_CLS; 0: no classifier is trained (code: cls_weight)."""
    per_class: Count = 300
    """Synthetic features per unseen class (code: syn_num)."""
    czsl_per_class: Count | None = None
    """The same for the CZSL classifier; None: the same number."""
    pretraining: PretrainingSettings = PretrainingSettings()
    """How the classifier of L_CLS is trained."""


class LisGANPretrainingSettings(PretrainingSettings):
    """The classifier of L_CLS (lisgan.py)."""

    epochs: Count = 100
    """Passes over the training images."""


class LisGANSettings(CLSWGANSettings):
    clusters: Count = 3
    """K: soul samples of each seen class (code: n_clusters)."""
    class_fakes: Count = 20
    """Synthetic features of every seen class whose mean L_R2 compares (code: loss_syn_num)."""
    lambda_sample: NonNegativeFloat = 1e-3
    """Weight of L_R1, of single features (code: proto_param2)."""
    lambda_mean: NonNegativeFloat = 1e-2
    """Weight of L_R2, of means (code: proto_param1)."""
    pretraining: LisGANPretrainingSettings = LisGANPretrainingSettings()
    """How the classifier of L_CLS is trained."""


class LisGANSoftmaxSettings(SoftmaxSettings):
    epochs: Epochs = 50
    """Passes over the features, with ``refine`` of the second classifier (lisgan.py: 50)."""
    batch_size: Count = 600
    """Examples per step; the code takes twice the number of synthetic features per class."""
    refine: bool = False
    """Whether a second classifier learns from test images too, with labels that the first gives them: only
    under the transductive reading ``authors``."""
    ratio: float = Field(0.6, gt=0, le=1)
    """ρ: the share of the test images that it learns from (code: ratio, which reaches the classifier for CZSL
    alone; for GZSL it is always classifier2.py's 0.6)."""
    first_epochs: Count = 50
    """Passes of the first classifier, with ``refine``."""
