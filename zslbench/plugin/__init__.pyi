from .classes import load_class as load_class, settings_model as settings_model
from .dataset import (
    DataRequest as DataRequest,
    Dataset as Dataset,
    OfficialSplit as OfficialSplit,
    RegionSource as RegionSource,
    Source as Source,
)
from .declarations import (
    Command as Command,
    Component as Component,
    Method as Method,
    Options as Options,
    Range as Range,
    Reading as Reading,
    Tracker as Tracker,
    Variant as Variant,
)
from .discovery import registry as registry
from .hookspecs import hookimpl as hookimpl
from .info import PluginInfo as PluginInfo, Registered as Registered
from .interfaces import (
    Attention as Attention,
    Batch as Batch,
    Choice as Choice,
    Classifier as Classifier,
    ClassSpace as ClassSpace,
    DatasetSource as DatasetSource,
    Derived as Derived,
    Embedding as Embedding,
    FeatureExtractor as FeatureExtractor,
    Fit as Fit,
    Generator as Generator,
    Guide as Guide,
    Losses as Losses,
    Networks as Networks,
    Noise as Noise,
    NoiseSpec as NoiseSpec,
    Normal as Normal,
    Optimizer as Optimizer,
    Program as Program,
    Rows as Rows,
    Step as Step,
    TrainView as TrainView,
    Uniform as Uniform,
)
from .lookup import Registry as Registry
from .settings import ComponentSettings as ComponentSettings
from .streams import Streams as Streams
from .tracking import RunTracker as RunTracker
