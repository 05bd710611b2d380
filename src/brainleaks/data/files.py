"""Where data lies, and how it gets there."""

import os
import sys
from pathlib import Path

import platformdirs
import pooch
import requests

from brainleaks.errors import InputError, option


def data_folder(given: Path | None) -> Path:
    """The folder to look for data in: as given, else ``BRAINLEAKS_DATA``, else the user's cache.

    Raises:
        InputError: if a folder was named and does not exist.
    """
    named = given or (Path(value) if (value := os.environ.get("BRAINLEAKS_DATA")) else None)
    if named is None:
        return Path(platformdirs.user_cache_dir("brainleaks")) / "data"
    if not named.is_dir():
        origin = option("data-dir") if given else "BRAINLEAKS_DATA"
        raise InputError(
            f"{origin}: no such folder: {named}; name the folder that holds the data, or leave "
            "the option out to download it."
        )
    return named


def download(url: str, destination: Path, checksum: str | None = None) -> None:
    """Download a file; it appears at ``destination`` whole or not at all.

    Args:
        url: where it is.
        destination: where it goes.
        checksum: ``"md5:..."`` or ``"sha256:..."`` of the file, where it is known.

    Raises:
        InputError: if the network, the server or the disk fails, or the file is another one.
    """
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        pooch.get_logger().setLevel("WARNING")
        pooch.retrieve(
            url,
            known_hash=checksum,
            fname=destination.name,
            path=destination.parent,
            downloader=pooch.HTTPDownloader(timeout=30, progressbar=sys.stderr.isatty()),
        )
    except requests.RequestException as error:
        raise InputError(
            f"cannot download {url}: {_cause(error)}. Check the network, or put the file at "
            f"{destination} yourself."
        ) from error
    except ValueError as error:  # pooch: the checksum does not match
        raise InputError(
            f"{url} sent a file whose checksum differs from the published one; try again later."
        ) from error
    except OSError as error:
        raise InputError(f"cannot write {destination}: {error.strerror or error}.") from error
    finally:
        if destination.parent.is_dir() and not any(destination.parent.iterdir()):
            destination.parent.rmdir()


def _cause(error: requests.RequestException) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    return "no connection"
