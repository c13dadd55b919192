"""What files and datasets are called in lineage, so that everybody who tells of one of them means the same.

See https://openlineage.io/docs/spec/naming.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from airflow_provider_catalog.assets.dataset import SCHEME, canonical_organisation
from airflow_provider_catalog.ingest.file_names import (
    ADDRESS,
    LOCAL_SCHEME,
    WEB,
    is_chain,
    lower_scheme,
    without_query,
)

MOST_NAMES = 100
"""How many files are told of one by one; of more than that, their folders are."""

# The file systems have several names for one store, of which OpenLineage knows one.
OBJECT_STORES = {
    **dict.fromkeys(("s3", "s3a", "s3n"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), "abfss"),
}
AZURE = "abfss"
ROOT = "/"
# What stands before the path. The brackets around an IPv6 address are no wildcards, and a bucket can't have any.
STORE = re.compile(rf"{LOCAL_SCHEME}|{ADDRESS.pattern}[^/]*/?")


class Name(NamedTuple):
    """The two parts of a name."""

    namespace: str
    name: str


def dataset_name(ims_org_id: str, sandbox_name: str, dataset_id: str) -> Name:
    """Name a dataset of the platform: ``aep://<organisation>`` and ``<sandbox>/<dataset id>``.

    Put together they are the URI of its asset, so the ``@`` in the organisation's id is written ``%40``, and the rest of that in
    one way, however the connection spells it.

    >>> dataset_name("0123ABCD@AdobeOrg", "dev", "5c8c3c555033b814b69f947f")
    Name(namespace='aep://0123ABCD%40AdobeOrg', name='dev/5c8c3c555033b814b69f947f')
    """
    organisation = quote(canonical_organisation(ims_org_id))
    return Name(f"{SCHEME}://{organisation}", f"{sandbox_name}/{dataset_id}")


def file_name(address: str, account: str | None = None) -> Name | None:
    """Name a file, or a folder.

    :param address: a path of this machine, or an address with a scheme. What stands before an ``@``, a connection's id, and the
        query of a web address, which may hold a signature, are left out.
    :param account: the storage account of a container of Azure, without which it has no name that is certain.
    """
    address = lower_scheme(without_query(address))
    if not ADDRESS.match(address) or address.startswith(LOCAL_SCHEME):
        return Name("file", os.path.abspath(address.removeprefix(LOCAL_SCHEME)))
    scheme, _, rest = address.partition("://")
    if address.startswith(WEB):
        rest = rest.partition("#")[0]
    authority, _, path = rest.partition("/")
    authority = authority.rpartition("@")[2]
    store = OBJECT_STORES.get(scheme)
    if store is None:
        return Name(f"{scheme}://{authority}", f"/{path}")
    if store == AZURE:
        if account is None:
            return None
        authority = f"{authority}@{account}.dfs.core.windows.net"
    return Name(f"{store}://{authority}", path or ROOT)


def pattern_names(files: object) -> list[Name]:
    """Name what users have asked for, without a look at it: of a glob, the folder above its first wildcard.

    :param files: as the operators take it. What is no path, and chains of file systems, which they refuse, are left out.
    """
    patterns = [files] if isinstance(files, str | os.PathLike) else files
    if not isinstance(patterns, Iterable):
        return []
    texts = [lower_scheme(os.fspath(each)) for each in patterns if isinstance(each, str | os.PathLike)]
    names = (file_name(_fixed(text)) for text in texts if not is_chain(text))
    return few(name for name in names if name is not None)


def few(names: Iterable[Name]) -> list[Name]:
    """Give each name once; instead of very many, those of the folders, as deep ones as are few."""
    found = list(dict.fromkeys(names))
    while len(found) > MOST_NAMES:
        folders = list(dict.fromkeys(map(_folder, found)))
        if folders == found:
            break
        found = folders
    return found


def _folder(name: Name) -> Name:
    folder = str(PurePosixPath(name.name).parent)
    return Name(name.namespace, ROOT if folder == "." else folder)


def _fixed(pattern: str) -> str:
    """Cut a glob before its first wildcard."""
    store = found[0] if (found := STORE.match(pattern)) else ""
    path = pattern.removeprefix(store)
    if pattern.startswith(WEB) or not glob.has_magic(path):
        return pattern
    folder = "/".join(takewhile(lambda part: not glob.has_magic(part), path.split("/")))
    # Of a relative path nothing may be left, which is the current folder.
    return store + (folder or (ROOT if path.startswith(ROOT) else ""))
