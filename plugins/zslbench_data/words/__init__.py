"""Word vectors of attributes: the words of a name, files of word vectors, arrays of a row for each name."""
