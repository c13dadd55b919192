"""How Sphinx builds these pages: `make docs`. A warning is an error there."""

from __future__ import annotations

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
    (r"py:.*", r"(airflow|collections|enum|io|uvicorn)\..*|Airflow\w+|airflow_provider_catalog\..*\._\w+"),
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
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what is meant, and signatures stay on a line

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = False
html_copy_source = False
