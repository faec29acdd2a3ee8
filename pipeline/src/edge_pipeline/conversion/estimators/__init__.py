"""One module a family, each with a table ``CONVERTERS: {class: {method: function}}``."""
