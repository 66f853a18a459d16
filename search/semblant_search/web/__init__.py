"""Semblant over HTTP: a service of its own (`semblant serve`), or routes for an app of yours.

Needs the extra `[web]`: `pip install 'semblant-search[web,edge]'`.
"""

from semblant_search.errors import MissingExtra

_NEEDED = {"fastapi", "starlette", "pydantic", "prometheus_client", "python_multipart", "cryptography"}

try:
    from .app import create_app, router
    from .guard import is_loopback
    from .keys import Key, KeyFile, sign_key
    from .settings import ServiceSettings
except ModuleNotFoundError as error:
    if error.name not in _NEEDED:
        raise
    raise MissingExtra("the HTTP service", "semblant-search[web]") from error

__all__ = ["Key", "KeyFile", "ServiceSettings", "create_app", "is_loopback", "router", "sign_key"]
