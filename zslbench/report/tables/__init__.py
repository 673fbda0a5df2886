"""Tables whose cells carry more than text: what is best, what is tied with it, why something is missing."""
