"""One module a family of estimators, each with a table ``CONVERTERS: {class: {method: function}}``."""
