from .attributes import (
    attribute_names as attribute_names,
    attribute_vectors as attribute_vectors,
    read_vectors as read_vectors,
    transposition as transposition,
)
from .folder import (
    SEMANTICS_FILES as SEMANTICS_FILES,
    FolderContents as FolderContents,
    ImageLabels as ImageLabels,
    label_files as label_files,
    no_features as no_features,
    original_attributes as original_attributes,
    read_without_features as read_without_features,
)
from .hdf5 import open_examined as open_examined
from .images.decoding import (
    EXIF as EXIF,
    Decoder as Decoder,
    Resize as Resize,
    Unreadable as Unreadable,
    decoded_batches as decoded_batches,
)
from .images.listing import (
    IMAGE_SUFFIXES as IMAGE_SUFFIXES,
    ImageList as ImageList,
    files_below as files_below,
    list_images as list_images,
)
from .images.store import decoded_pictures as decoded_pictures, files_digest as files_digest
from .kinds import (
    EMPTY as EMPTY,
    HDF5 as HDF5,
    MATLAB_4 as MATLAB_4,
    MATLAB_5 as MATLAB_5,
    MATLAB_73 as MATLAB_73,
    NPY as NPY,
    NPZ as NPZ,
    TEXT as TEXT,
    UNKNOWN as UNKNOWN,
    absence as absence,
    file_kind as file_kind,
    require_file as require_file,
)
from .locations import (
    ATTRIBUTE_NAMES as ATTRIBUTE_NAMES,
    ATTRIBUTE_VECTORS as ATTRIBUTE_VECTORS,
    FOLDER as FOLDER,
    HOW_TO_CHOOSE as HOW_TO_CHOOSE,
    IMAGES as IMAGES,
    SPLITS_FILE as SPLITS_FILE,
    data_root as data_root,
    dataset_folders as dataset_folders,
    dataset_key as dataset_key,
    find_folder as find_folder,
    folder_key as folder_key,
    is_complete as is_complete,
    misnamed_folders as misnamed_folders,
    require_folder as require_folder,
    sidecar as sidecar,
)
from .matfile import (
    MatValue as MatValue,
    features_files as features_files,
    features_widths as features_widths,
    mat_variables as mat_variables,
    read_mat as read_mat,
)
from .named import (
    dataset_name as dataset_name,
    find_dataset as find_dataset,
    folder_components as folder_components,
    shadowed_note as shadowed_note,
)
from .npy import open_npy as open_npy
from .provenance import array_sha256 as array_sha256, source as source
from .regions.attach import disagreements as disagreements
from .regions.cache import cached_store as cached_store
from .regions.find import (
    find_regions as find_regions,
    open_regions as open_regions,
    region_files as region_files,
)
from .regions.hdf5 import HDF5_SUFFIXES as HDF5_SUFFIXES, RegionFile as RegionFile
from .regions.layout import (
    BLOCK_BYTES as BLOCK_BYTES,
    LAYOUTS as LAYOUTS,
    STORED_TYPES as STORED_TYPES,
    as_float32 as as_float32,
    find_layout as find_layout,
    mean_over_regions as mean_over_regions,
)
from .regions.store import (
    ArrayRegions as ArrayRegions,
    RegionStore as RegionStore,
    is_region_store as is_region_store,
)
from .regions.writer import (
    RegionWriter as RegionWriter,
    npy_header as npy_header,
    require_space as require_space,
)
from .semantics import (
    NAMED_SEMANTICS as NAMED_SEMANTICS,
    class_words as class_words,
    named_semantics as named_semantics,
    read_class_vectors as read_class_vectors,
    rows_of_classes as rows_of_classes,
    semantics_file as semantics_file,
    semantics_name as semantics_name,
    with_semantics as with_semantics,
    write_semantics as write_semantics,
)
from .split_sets import (
    columns_of as columns_of,
    in_natural_order as in_natural_order,
    in_split_set as in_split_set,
    is_split_set as is_split_set,
    splits_named as splits_named,
)
from .tables import duplicated as duplicated, read_attributes as read_attributes, read_table as read_table
from .validate import (
    PARTS as PARTS,
    Finding as Finding,
    Findings as Findings,
    dataset_faults as dataset_faults,
    dataset_findings as dataset_findings,
    few as few,
    require_valid as require_valid,
)
from .xlsa17 import (
    DEFAULT_FEATURES as DEFAULT_FEATURES,
    count_differences as count_differences,
    features_stem as features_stem,
    read_xlsa17 as read_xlsa17,
)
