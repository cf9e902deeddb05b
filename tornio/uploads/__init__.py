"""Files that users send from their machines to a workspace, so that runs on the cluster can read them."""

from tornio.uploads.expiry import expire
from tornio.uploads.resolving import find_upload
from tornio.uploads.uploads import UploadRoom

__all__ = ["UploadRoom", "expire", "find_upload"]
