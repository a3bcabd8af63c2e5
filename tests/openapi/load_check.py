"""The check as a module: it has no .py in its name."""
import importlib.machinery
import importlib.util
import pathlib

OPENAPI = pathlib.Path(__file__).resolve().parent.parent.parent / "services/api-gateway/openapi.json"
ROUTES = OPENAPI.parent / "routes.c"


def load():
    path = pathlib.Path(__file__).resolve().parent / "check"
    loader = importlib.machinery.SourceFileLoader("check", str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
    loader.exec_module(module)
    return module


check = load()
