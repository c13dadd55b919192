"""How Sphinx builds these pages: `make docs`. A warning is an error there."""

from __future__ import annotations

import airflow_provider_catalog

project = "airflow-provider-catalog"
author = "the contributors"
version = release = airflow_provider_catalog.__version__

extensions = [
    "myst_parser",  # the pages are Markdown
    "sphinx.ext.autodoc",  # the reference is made of the docstrings
    "sphinx.ext.apidoc",
]

html_theme = "furo"
html_title = f"{project} {version}"
html_show_copyright = False
html_copy_source = False

myst_heading_anchors = 3  # as on GitHub

# A page for each module of the package; the pages are made anew for each build.
apidoc_modules = [
    {
        "path": "../airflow_provider_catalog",
        "destination": "reference",
        "separate_modules": True,
        "module_first": True,
        "include_private": False,
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the signature in Airflow's own style would fill a page; the docstrings name types where it matters
