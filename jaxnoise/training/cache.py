"""Compiled programs between processes: a machine compiles each of them once.

JAX's names of them hash the program, its options, all versions and the processor's
features, so that machines with one home folder do not meet. Its own cache on disk is
left out: it takes what is half-written or damaged for a program, which can end the
process, never mends it, and is bounded only with a package more and a lock that a
read-only folder cannot have. `Programs` stands in for it.
"""

import os
import sys
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import mkstemp

import jax
from jax.experimental.compilation_cache import compilation_cache

SWITCH = "JAXNOISE_CACHE"  # in the environment: "off", or a folder
OFF = ("off", "0")
FOLDER = "jax_compilation_cache_dir"
LEAST_SECONDS = 0.1  # of compiling what is kept
MOST_BYTES = 2**29
ENDING = ".program"
DIGEST_BYTES = 16
_ours: set[str] = set()  # the folders that this process has opened


def use_cache() -> None:
    """Keep compiled programs on disk, so that another process need not compile them.

    They are in the system's folder for caches, such as ``~/.cache/jaxnoise``, or in the
    one that the environment variable ``JAXNOISE_CACHE`` names; ``JAXNOISE_CACHE=off``
    keeps none. A folder that JAX has been given, as by ``JAX_COMPILATION_CACHE_DIR``,
    is left to JAX. Beyond 512 MiB those that were not used for longest go. Workers of
    an executor use the folder where they see it.

    A folder that cannot be written, a full disk, a damaged file, or another process at
    the same time cost nothing but time.

    Example:
        >>> import jaxnoise as jn
        >>> jn.use_cache()  # once in a script, before it compiles
    """
    folder = _folder() if jax.config.values[FOLDER] is None else None
    if folder is None:
        return
    with suppress(OSError):  # it cannot be made
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_dir():
        keep_programs(folder)


def is_ours(folder: str) -> bool:
    """Whether `Programs` are kept there, not JAX's own files."""
    return folder in _ours


def keep_programs(folder: Path | str) -> None:
    """Have JAX keep in this folder what takes its time to compile."""
    jax.config.update(FOLDER, str(folder))
    _ours.add(str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    compilation_cache.reset_cache()
    with suppress(ImportError):  # else it is JAX's own
        from jax._src import compilation_cache as inner

        vars(inner).update(_cache=Programs(Path(folder)), _cache_initialized=True)


class Programs:
    """Compiled programs in a folder, whole or not at all, with the interface of JAX's.

    Whatever goes wrong, a program is not there, and is compiled.

    Args:
        folder: of one file a program, which begins with a hash of the rest.
    """

    def __init__(self, folder: Path):
        self._path = folder  # JAX's name, which it logs

    def get(self, key: str) -> bytes | None:
        """The program of that name, if there is one and it is undamaged."""
        file = self._file(key)
        try:
            content = file.read_bytes()
        except OSError:
            return None
        with suppress(OSError):  # to be read is all that it needs
            os.utime(file)
        told, program = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        return program if told == _digest(program) else None

    def put(self, key: str, program: bytes) -> None:
        """Keep a program; others make room for it."""
        with suppress(OSError):
            # by its ending, what a kill leaves goes as programs do
            handle, unfinished = mkstemp(ENDING, dir=self._path)
            try:
                with open(handle, "wb") as file:
                    file.write(_digest(program) + program)
                os.replace(unfinished, self._file(key))
            except OSError:
                os.unlink(unfinished)
                raise
            self._make_room()

    def _file(self, key: str) -> Path:
        return self._path / f"{key}{ENDING}"

    def _make_room(self) -> None:
        left = MOST_BYTES
        for file, told in files_of(self._path):
            left -= told.st_size
            if left < 0:
                file.unlink(missing_ok=True)


def files_of(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The programs that are kept, the last used first."""
    found = []
    for file in folder.glob(f"*{ENDING}"):
        with suppress(OSError):  # another process has removed it
            found.append((file, file.stat()))
    return sorted(found, key=lambda each: -each[1].st_mtime)


def _digest(program: bytes) -> bytes:
    return blake2b(program, digest_size=DIGEST_BYTES).digest()


def _folder() -> Path | None:
    """Where programs go; None for nowhere."""
    asked = os.environ.get(SWITCH, "")
    if asked.lower() in OFF:
        return None
    with suppress(RuntimeError):  # of a user without a home
        return Path(asked).expanduser().absolute() if asked else _caches() / "jaxnoise"
    return None


def _caches() -> Path:
    """The system's folder for caches."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return told if told.is_absolute() else Path.home() / ".cache"
