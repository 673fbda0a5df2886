"""Pictures: found in the order of a data set, decoded, and kept in a store."""
