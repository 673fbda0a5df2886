"""The five interfaces of zslbench: what the author of a plugin reads first. Then come
:mod:`zslbench.plugin.views`, which says what a component is given, and :mod:`zslbench.plugin.programs`, which
says how it describes its training.

A value passes each stage once::

    images -> FeatureExtractor -> DatasetSource -> Embedding -> Generator -> Classifier -> evaluator (fixed)

Four ideas carry the rest:

1. A component is its settings and, once fitted, its **networks**: named tensors, ``{net: {name: tensor}}``.
   It has no other state, so the core can store, hash, resume and stack fitted components.
2. ``fit`` returns the networks (a closed form) or a :class:`Program`: training described as data, which the
   core runs. It draws batches and noise, differentiates, updates, checkpoints and logs.
3. A component sees only a :class:`TrainView`, which holds no test image and no test label.
4. It may use the components before it and their networks; it returns what it needs of them with its own.

Shapes are written with jaxtyping: ``Float[Tensor, "n d"]`` is a float tensor of n rows and d columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from jaxtyping import Float
from torch import Tensor

from zslbench.plugin.dataset import DataRequest, Dataset
from zslbench.plugin.programs import Fit, NoiseSpec
from zslbench.plugin.views import Attention, ClassSpace, Guide, Networks, Noise, TrainView


class DatasetSource(ABC):
    """Kind ``dataset``: finds and reads a data set. The core validates what it returns."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def load(self, request: DataRequest) -> Dataset:
        """Read the data set. Raise MissingData, with the command or link that gets it, for a missing file and
        DataError, with all faults, for one that cannot be used."""


class FeatureExtractor(ABC):
    """Kind ``extractor``: images to region features, with a frozen backbone.

    Its constructor reads the weights; if they are missing, it raises MissingData that says how to get them.
    """

    image_size: int
    """Height and width, in pixels, that images are resized and cropped to."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """The filter used to resize images."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @abstractmethod
    def extract(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b regions dv"]:
        """Region features of RGB images with values in [0, 1], on the images' device. Normalising for the
        backbone is up to the extractor."""

    def describe(self) -> Mapping[str, Any]:
        """What to record with the features, as plain data without paths of this machine: ``name`` (of the
        backbone), ``grid`` (regions along height and width), ``weights_sha256``, ``normalisation`` and
        anything else that the values depend on."""
        return {}


class _Fitted(ABC):
    """A component that is fitted: settings and class space, no other state."""

    def __init__(self, settings: Any, space: ClassSpace) -> None:
        self.settings = settings
        self.space = space

    @abstractmethod
    def fit(self, view: TrainView) -> Fit:
        """Fit on labelled training images: an embedding on the data set's features, the others on g."""


class Embedding(_Fitted):
    """Kind ``embedding``: a data set's features or pictures to the visual features g of the later stages."""

    inputs: ClassVar[Literal["features", "regions", "images"]] = "features"
    """What ``embed`` reads: global features (n, d0), region features (n, regions, dv), or pictures
    (n, 3, size, size), uint8 RGB. Runs on pictures are marked as fine-tuned and not ranked with others."""

    @classmethod
    def image_size(cls, settings: Any) -> int:
        """Height and width of the pictures that it reads: each image's middle square, scaled to this size.
        Crops are cut from them in ``embed`` and in the steps."""
        return 256

    @abstractmethod
    def embed(self, nets: Networks, inputs: Tensor) -> Float[Tensor, "n d"]:
        """Visual features of any images; a row's result depends on that row only."""

    def guide(self, nets: Networks) -> Guide | None:
        """Class scores over all classes of the space, for generators that use a guide; None: no guide."""
        return None

    def attention(self, nets: Networks, inputs: Tensor) -> Attention | None:
        """Where it looks in each image, for plots; None: no attention."""
        return None


class Generator(_Fitted):
    """Kind ``generator``: class semantics to synthetic visual features, and what the classifier sees.

    The classifier is trained on real features of seen classes, ``transform(g)``, and synthetic ones of unseen
    classes, ``transform(sample(a))``, or ``sample(a)`` where that returns inputs.
    """

    samples: ClassVar[Literal["features", "inputs"]] = "features"
    """What ``sample`` returns: features g, which ``transform`` turns into inputs of the classifier, or such
    inputs (latent codes of semantics, where ``transform`` encodes images)."""
    embedding: Embedding | None = None
    """The embedding before it, set by the core; its networks are ``view.networks["embedding"]``."""

    # --- unseen classes ----------------------------------------------------------------------------

    @property
    @abstractmethod
    def per_class(self) -> int:
        """Number of features to synthesise for each unseen class."""

    @property
    def czsl_per_class(self) -> int:
        """The same for the CZSL classifier. Where it equals ``per_class``, both see the same features."""
        return self.per_class

    @property
    @abstractmethod
    def sample_noise(self) -> Mapping[str, NoiseSpec]:
        """The noise that ``sample`` reads."""

    @abstractmethod
    def sample(
        self, nets: Networks, semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Float[Tensor, "n d"]:
        """One synthetic feature (or input, see ``samples``) for each row of class semantics."""

    # --- real and test images ----------------------------------------------------------------------

    @property
    def real_per_class(self) -> int | None:
        """Real features per seen class: its first images, repeated where there are fewer. None: each training
        image once."""
        return None

    @property
    def transform_noise(self) -> Mapping[str, NoiseSpec]:
        """The noise that ``transform`` reads for training features, for example of a reparameterisation."""
        return {}

    @property
    def redraws(self) -> bool:
        """Whether the inputs of real training features are drawn anew in every epoch of the classifier."""
        return False

    @property
    def draws_at_test(self) -> bool:
        """Whether ``transform`` gets noise for test images too; an image's draw depends on the run's seed and
        the image only."""
        return False

    def transform(self, nets: Networks, g: Float[Tensor, "n d"], noise: Noise) -> Float[Tensor, "n e"]:
        """The classifier's inputs for features, row by row.

        ``noise`` has the terms of ``transform_noise`` or, as a rule for test images, none: it then returns
        the mean.
        """
        return g

    def encode(
        self, nets: Networks, g: Float[Tensor, "n d"], semantics: Float[Tensor, "n attributes"], noise: Noise
    ) -> Noise | None:
        """The noise for which ``sample`` gives back g, drawn from an encoder's posterior; None: no encoder.

        With the semantics of another class, ``sample`` then makes a counterfactual of the image.

        Args:
            semantics: of the class to be sampled; an encoder that reads features alone ignores them.
            noise: the terms of ``sample_noise``, standard; none: the posterior's mean.
        """
        return None


class Classifier(_Fitted):
    """Kind ``classifier``: features to scores over every class of its space."""

    needs_examples: ClassVar[bool]
    """True: it scores only classes that it has examples of, so it needs a generator and is fitted twice: on
    real seen and synthetic unseen features over all classes (f_gzsl), and on synthetic unseen features in the
    space of the unseen classes (f_czsl). False: it scores from the semantics of its space and is fitted once;
    its networks do not hold the classes, so that ``zslbench predict`` can score others."""
    reads: ClassVar[Literal["inputs", "features"]] = "inputs"
    """What it is fitted on and scores: the generator's inputs, or real and synthetic features g before
    ``transform``."""
    embedding: Embedding | None = None
    """The embedding, set by the core; its networks are ``view.networks["embedding"]``."""
    generator: Generator | None = None
    """The generator, set by the core, None where there is none; its networks are
    ``view.networks["generator"]``. Its space has all classes, in f_czsl too."""

    @abstractmethod
    def scores(self, nets: Networks, features: Float[Tensor, "n e"]) -> Float[Tensor, "n classes"]:
        """A score for each class of the space; the highest wins. Any scale, comparable across classes."""
