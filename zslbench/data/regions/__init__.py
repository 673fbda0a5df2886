"""Region features of a data set: in memory, in a store on the disk, or in the authors' HDF5 layout."""
