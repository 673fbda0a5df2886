from .boundary import one_line as one_line, plugin_code as plugin_code
from .dataset import (
    Candidates as Candidates,
    DataRequest as DataRequest,
    Dataset as Dataset,
    Indices as Indices,
    OfficialSplit as OfficialSplit,
    RegionSource as RegionSource,
    Source as Source,
)
from .declarations import (
    FULL as FULL,
    KINDS as KINDS,
    Command as Command,
    Component as Component,
    Executor as Executor,
    Kind as Kind,
    Method as Method,
    Options as Options,
    Range as Range,
    Reading as Reading,
    Task as Task,
    Tracker as Tracker,
    Variant as Variant,
)
from .discovery import first_party as first_party, registry as registry
from .hookspecs import RunTracker as RunTracker, hookimpl as hookimpl
from .interfaces import (
    Classifier as Classifier,
    DatasetSource as DatasetSource,
    Embedding as Embedding,
    FeatureExtractor as FeatureExtractor,
    Generator as Generator,
)
from .lookup import PluginInfo as PluginInfo, Registered as Registered, Registry as Registry
from .presets import (
    PROVENANCE as PROVENANCE,
    UNTIL as UNTIL,
    parse_assignment as parse_assignment,
    parse_preset as parse_preset,
    preset_names as preset_names,
    read_preset as read_preset,
    toml_or_word as toml_or_word,
)
from .process import preserved as preserved
from .programs import (
    Batch as Batch,
    Choice as Choice,
    Cosine as Cosine,
    Derived as Derived,
    Episodic as Episodic,
    Exponential as Exponential,
    Fit as Fit,
    Losses as Losses,
    LRSchedule as LRSchedule,
    MultiStep as MultiStep,
    NoiseSpec as NoiseSpec,
    Normal as Normal,
    Optimizer as Optimizer,
    Permutation as Permutation,
    Program as Program,
    Progress as Progress,
    Step as Step,
    Uniform as Uniform,
    WarmUp as WarmUp,
)
from .settings import (
    ComponentSettings as ComponentSettings,
    Count as Count,
    Epochs as Epochs,
    NoSettings as NoSettings,
    Offset as Offset,
    SettingsGroup as SettingsGroup,
    build as build,
    default_of as default_of,
    fields_of as fields_of,
    schedule_of as schedule_of,
)
from .streams import Streams as Streams
from .targets import (
    install_advice as install_advice,
    load_class as load_class,
    missing_modules as missing_modules,
    settings_model as settings_model,
)
from .views import (
    Attention as Attention,
    ClassSpace as ClassSpace,
    Guide as Guide,
    Networks as Networks,
    Noise as Noise,
    Rows as Rows,
    TrainView as TrainView,
    Transductive as Transductive,
)
