"""Charts of a report: drawn in stand-in colours, put into the page as SVG that follows the page's mode."""
