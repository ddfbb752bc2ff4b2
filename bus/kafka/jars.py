"""The jars of Apache Kafka: which ones, pinned by SHA-256, fetched once into the local Maven cache.

`kafka.lock.toml` is jgo's lock file. Run `python -m bus.kafka.jars` to write it anew after raising KAFKA_VERSION. At
run time nothing is resolved: exactly the locked jars are fetched, in parallel, and each is verified before use.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bus.errors import EmbeddedKafkaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

KAFKA_VERSION: Final = "4.3.1"
LOG4J_VERSION: Final = "2.25.4"
LOCK_FILE: Final = Path(__file__).parent / "kafka.lock.toml"
PARALLEL_DOWNLOADS: Final = 8
TIMEOUT_SECONDS: Final = 30
INSTALL = "pip install 'shuniu[embedded]'"

# What kafka_2.13's POM names and the broker never loads: Scala's compile-time macros, annotations, CSV, and what
# commons-validator needs to read XML (the broker only asks it whether a host name is one).
NOT_NEEDED: Final = {
    "scala-reflect",
    "jspecify",
    "jackson-dataformat-csv",
    "commons-beanutils",
    "commons-digester",
    "commons-collections",
    "commons-logging",
}


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar by its Maven coordinate.

    Attributes:
        sha256: of the whole file, hexadecimal.
    """

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies in a Maven repository."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")

    def is_intact(self, repository: Path) -> bool:
        """True if the cached file is there and is the locked one."""
        try:
            with (repository / self.path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the first download is.

    Attributes:
        jars: fetched so far.
        total: to fetch.
        size: bytes fetched so far.
    """

    jars: int
    total: int
    size: int


def locked(lock_file: Path = LOCK_FILE) -> list[Jar]:
    """The jars of the lock file, in class path order."""
    found = tomllib.loads(lock_file.read_text(encoding="utf-8"))["dependencies"]
    return [Jar(jar["groupId"], jar["artifactId"], jar["version"], jar["sha256"]) for jar in found]


def class_path(on_progress: Callable[[Progress], None] | None = None) -> list[Path]:
    """Paths of all jars, each present and with the locked checksum; fetches those that are not.

    Raises:
        EmbeddedKafkaError: they cannot be fetched, or what was fetched is not what was locked.
    """
    jars, repository = locked(), _repository()
    with ThreadPoolExecutor(2) as pool:
        intact = list(pool.map(lambda jar: jar.is_intact(repository), jars))
    if not all(intact):
        with _only_fetcher(repository):
            _fetch([jar for jar in jars if not jar.is_intact(repository)], repository, on_progress)
    return [repository / jar.path for jar in jars]


def _repository() -> Path:
    """The Maven cache: M2_REPO, or what jgo's settings say, which is ~/.m2/repository unless changed."""
    if given := os.environ.get("M2_REPO"):
        return Path(given).expanduser()
    return Path(_jgo_settings().repo_cache)


@contextlib.contextmanager
def _only_fetcher(repository: Path) -> Iterator[None]:
    """One process fetches at a time: jgo writes straight to the final name."""
    try:
        repository.mkdir(parents=True, exist_ok=True)
        with (repository / ".shuniu.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise EmbeddedKafkaError(
            f"the cache of jars cannot be written: {error.strerror}",
            where=str(repository),
            fix="free about 50 MB there, or set M2_REPO to a folder that can be written",
        ) from error


def _fetch(jars: Sequence[Jar], repository: Path, on_progress: Callable[[Progress], None] | None) -> None:
    context = _maven_context(repository)
    done, size = 0, 0
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        for jar in pool.map(lambda jar: _fetch_one(context, jar, repository), jars):
            done, size = done + 1, size + (repository / jar.path).stat().st_size
            if on_progress:
                on_progress(Progress(done, len(jars), size))


def _fetch_one(context: Any, jar: Jar, repository: Path) -> Jar:
    """Fetch one jar and verify it. A torn file of an earlier attempt is removed first.

    Raises:
        EmbeddedKafkaError: no network, not found, or another checksum.
    """
    (repository / jar.path).unlink(missing_ok=True)
    try:
        context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo raises RuntimeError for 404
        raise EmbeddedKafkaError(
            f"{jar.artifact} {jar.version} could not be downloaded: {type(error).__name__}",
            where=", ".join(context.remote_repos.values()),
            fix="the first start needs a Maven repository. Behind a proxy set HTTPS_PROXY; for a mirror write "
            "`central = <its address>` under [repositories] in ~/.config/jgo.conf; without any network copy "
            "the Maven cache of a machine that has started it once and set M2_REPO to it. Or use your own cluster: "
            "--bootstrap",
        ) from error
    if jar.is_intact(repository):
        return jar
    (repository / jar.path).unlink(missing_ok=True)
    raise EmbeddedKafkaError(
        f"{jar.artifact} {jar.version} is not the file that was locked (SHA-256 differs); it was removed",
        where=", ".join(context.remote_repos.values()),
        fix="the repository or a proxy before it serves an altered file: find out why before going on",
    )


def _jgo_settings() -> Any:
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise EmbeddedKafkaError("the extra `embedded` is not installed", fix=INSTALL) from error
    return GlobalSettings.load()


def _maven_context(repository: Path) -> Any:
    """Maven as jgo does it, with the repositories of the user's settings; they can replace `central`."""
    settings = _jgo_settings()
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext  # noqa: PLC0415

    repositories = {"central": MAVEN_CENTRAL_URL, **settings.repositories}
    return MavenContext(repo_cache=repository, remote_repos=repositories, timeout=TIMEOUT_SECONDS)


def write_lock(lock_file: Path = LOCK_FILE) -> None:
    """Resolve Kafka anew and write the lock file: for a maintainer who raises the version."""
    from jgo.env import LockFile  # noqa: PLC0415

    context = _maven_context(_repository())
    inputs, transitive = context.resolver.resolve(
        [context.create_dependency(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")]
    )
    # Alone, not as a second input: jgo would let log4j's dependency management lower the versions of Kafka's own jars.
    logging = context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}")
    needed = [jar for jar in [*inputs, *transitive, logging] if jar.artifactId not in NOT_NEEDED]
    LockFile.from_resolved_dependencies(needed, environment_name="kafka").save(lock_file)


if __name__ == "__main__":
    write_lock()
