"""Answer HTTP requests with predictions: a WSGI callable for any server.

Nothing imports this package but a program that serves models::

    from edge_runtime import load
    from edge_runtime.service import application

    app = application({"penguins": load("penguins.onnx")})
"""

from edge_runtime.service.application import application
from edge_runtime.service.limits import ServiceLimits

__all__ = ["ServiceLimits", "application"]
