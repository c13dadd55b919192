"""How Sphinx builds these pages: `make docs`. A warning is an error there."""

from __future__ import annotations

from sphinx.application import Sphinx

import airflow_provider_catalog

project = "airflow-provider-catalog"
version = release = airflow_provider_catalog.__version__

extensions = [
    "myst_parser",  # the pages are Markdown
    "sphinx.ext.apidoc",  # a page of the reference for each module,
    "sphinx.ext.autodoc",  # made of its docstrings
]
nitpicky = True  # every name that a docstring refers to must be there,
nitpick_ignore_regex = [
    # but those of Airflow and Python, and what stays inside of a module.
    (
        r"py:.*",
        r"(airflow|collections|enum|io|openlineage|uvicorn)\..*|Airflow\w+|airflow_provider_catalog\..*\._\w+",
    ),
]

myst_heading_anchors = 3  # as on GitHub
apidoc_modules = [
    {
        "path": "../airflow_provider_catalog",
        "destination": "reference",
        "separate_modules": True,
        "module_first": True,
    }
]
exclude_patterns = ["reference/modules.rst"]  # a list of one
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what is meant, and signatures stay on a line

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = False
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Shorten the titles of the reference's pages before they are read: ``operators.batch`` fits into the sidebar."""
    app.connect("source-read", shorten_title)


def shorten_title(app: Sphinx, page: str, source: list[str]) -> None:
    """Leave out the package's name, and what kind of thing the page is about."""
    if page.startswith("reference/"):
        title, _, rest = source[0].split("\n", 2)
        short = title.split()[0].removeprefix(r"airflow\_provider\_catalog.")
        source[0] = "\n".join([short, "=" * len(short), rest])
