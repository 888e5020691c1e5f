"""A local web page that shows what a network makes of a recording."""
