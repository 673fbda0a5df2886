"""Charts of a report: drawn with matplotlib in stand-in colours, put into the page as SVG that follows its mode."""
