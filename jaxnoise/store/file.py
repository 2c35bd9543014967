"""One SQLite file of finished runs: rows in and out, each with its checksum.

`File` knows nothing of what the rows mean, and needs neither JAX nor pandas. A setup is
what the runs of a placement, a split and a number of epochs have in common; a run has
its metrics as columns, added as they come up; arrays lie in a table of their own, so
that a list of runs reads none. What is written together is there wholly or not at all,
whatever kills the process. What comes from a file was perhaps not written by us: it is
held against its checksum before anything else is done with it.
"""

import json
import os
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

MAGIC, APPLICATION = b"SQLite format 3\0", 0x6A6E7374
FORMAT = 1  # of the tables, told by the file's header
WAIT = 600.0  # seconds, for what other processes write
AT_ONCE = 500  # keys of one query
NAN = float("nan")  # which SQLite has not: NULL stands for it
RUN = ("key", "setup", "strength", "seed", "finite", "device", "arrays")
TABLES = {
    "setups": "id TEXT PRIMARY KEY, placement TEXT NOT NULL, split INTEGER NOT NULL, "
    "epochs INTEGER NOT NULL, parts TEXT NOT NULL, facts TEXT NOT NULL, "
    "metrics TEXT NOT NULL, checksum TEXT NOT NULL, UNIQUE (placement, split, epochs)",
    "runs": "key TEXT PRIMARY KEY, "
    "setup TEXT NOT NULL REFERENCES setups ON DELETE CASCADE, "
    "strength TEXT NOT NULL, seed INTEGER NOT NULL, finite INTEGER NOT NULL, "
    "device TEXT NOT NULL, arrays TEXT NOT NULL, checksum TEXT NOT NULL",
    "arrays": "key TEXT NOT NULL REFERENCES runs ON DELETE CASCADE, "
    "name TEXT NOT NULL, content BLOB NOT NULL, checksum TEXT NOT NULL, "
    "PRIMARY KEY (key, name)",
}
NETWORKS = frozenset(  # file systems without the shared memory that WAL takes
    "9p afs beegfs ceph cifs fuse.glusterfs fuse.sshfs gpfs lustre nfs nfs4 pvfs2 "
    "smb3 smbfs".split()
)
DAMAGE = ArithmeticError, LookupError, RecursionError, TypeError, ValueError


class StoreError(OSError):
    """A store that cannot be read or written: no file of ours, damaged, a full disk.

    Example:
        >>> import jaxnoise as jn
        >>> try:
        ...     jn.Store("nowhere.sqlite")
        ... except jn.StoreError as error:
        ...     print(error)
        store nowhere.sqlite: there is no such file.
    """


def digest(*parts: Any) -> str:
    """A checksum of what JSON can hold, exact for floats."""
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


class Setup(NamedTuple):
    """What some runs have in common.

    Attributes:
        placement: its name.
        split: its number.
        epochs: of training.
        parts: by name, what else determines the numbers.
        facts: of the split, for statistics.
        metrics: names, in their order.
    """

    placement: str
    split: int
    epochs: int
    parts: dict[str, Any]
    facts: dict[str, Any]
    metrics: list[str]

    @property
    def id(self) -> str:
        """The same for all that determines the numbers, and for nothing else."""
        return digest(self.placement, self.split, self.epochs, self.parts)

    @property
    def row(self) -> list[Any]:
        """As it is written, without its checksum."""
        texts = map(json.dumps, (self.parts, self.facts, self.metrics))
        return [self.id, self.placement, self.split, self.epochs, *texts]


class StoredRun(NamedTuple):
    """A finished run; its arrays lie beside it."""

    key: str
    setup: str
    strength: dict[str, float]  # by column
    seed: int
    finite: bool
    device: str
    arrays: list[str]  # their names
    metrics: dict[str, float]

    @property
    def row(self) -> list[Any]:
        """As it is written, without its checksum."""
        first = [self.key, self.setup, json.dumps(self.strength), self.seed]
        values = [NAN if v != v else v for v in self.metrics.values()]
        return [*first, int(self.finite), self.device, json.dumps(self.arrays), *values]


class File:
    """An open store: to be written, or to be read as it was when it was opened.

    Args:
        path: of the file.
        write: whether to make the file where there is none, and to write.

    Attributes:
        journal: how SQLite keeps transactions whole: "wal", or another mode where the
            file system lacks what that takes.
    """

    def __init__(self, path: str | os.PathLike, *, write: bool = False):
        self.path, self.journal = Path(path), ""
        with self.told():
            _check_header(self.path, write)
            try:
                self._open(write, "mode=rwc" if write else "mode=rw")
            except sqlite3.OperationalError:
                if write:
                    raise
                self._open(write, "immutable=1")  # in a folder that is read alone

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        with self.told():
            self.db.close()

    def setups(self) -> dict[str, Setup]:
        """By id, in the order in which they came."""
        found = {}
        with self.told():
            rows = self.db.execute("SELECT * FROM setups ORDER BY rowid")
            for name, placement, split, epochs, *texts, checksum in rows:
                setup = Setup(placement, split, epochs, *map(json.loads, texts))
                self.check_that(digest(*setup.row) == checksum, "setups")
                found[name] = setup
        return found

    def runs(
        self, setups: Mapping[str, Setup], keys: Sequence[str] | None = None
    ) -> Iterator[StoredRun]:
        """All runs, or those of some keys that are there."""
        with self.told():
            places = {name: at for at, name in enumerate(self._columns())}
            picked: dict[str, list[Any]] = {
                name: [places.get(metric) for metric in setup.metrics]
                for name, setup in setups.items()
            }
            for row in self._rows("runs", keys):
                *first, checksum = row[: len(RUN) + 1]
                key, setup, strength, seed, finite, device, arrays = first
                values = [NAN if row[at] is None else row[at] for at in picked[setup]]
                self.check_that(_of_run(first, values) == checksum, "runs")
                metrics = dict(zip(setups[setup].metrics, values, strict=True))
                yield StoredRun(
                    key,
                    setup,
                    _loaded(strength),
                    seed,
                    bool(finite),
                    device,
                    _loaded(arrays),
                    metrics,
                )

    def arrays(
        self, name: str, runs: Sequence[StoredRun]
    ) -> Iterator[tuple[str, bytes]]:
        """The arrays of a name, as bytes, with the keys of the runs that have them."""
        missing = {run.key for run in runs if name in run.arrays}
        with self.told():
            for key, kind, content, checksum in self._rows("arrays", list(missing)):
                if kind == name:
                    found = _of_bytes(key, name, content)
                    self.check_that(found == checksum, "arrays")
                    missing.remove(key)
                    yield key, content
            self.check_that(not missing, "arrays")

    def add_setups(self, setups: Collection[Setup]) -> list[tuple[Setup, Setup]]:
        """Add setups, unless others of their placement, split and epochs have runs.

        Returns:
            Those that were asked and those that are there, where they differ; then none
            was added.
        """
        with self.transaction():
            found = {there[:3]: there for there in self.setups().values()}
            pairs = [(s, found[s[:3]]) for s in setups if s[:3] in found]
            differ = [(s, there) for s, there in pairs if s.id != there.id]
            if mixed := [pair for pair in differ if not self._has_no_runs(pair[1].id)]:
                return mixed
            self._delete("setups", "id", [there.id for _, there in differ])
            for setup in setups:
                self._insert("setups", [*setup.row, digest(*setup.row)])
        return []

    def add_runs(
        self,
        runs: Sequence[tuple[StoredRun, Mapping[str, bytes]]],
        instead_of: Collection[str] = (),
    ) -> None:
        """Add runs and their arrays; what is there already stays.

        Args:
            runs: with their arrays in bytes, by name.
            instead_of: keys of runs that go.
        """
        with self.transaction():
            self._delete("runs", "key", instead_of)
            self._add_columns(name for run, _ in runs for name in run.metrics)
            for run, arrays in runs:
                row, columns = run.row, [*RUN, *run.metrics, "checksum"]
                checksum = _of_run(row[: len(RUN)], row[len(RUN) :])
                if self._insert("runs", [*row, checksum], columns):
                    for name, content in arrays.items():
                        checksum = _of_bytes(run.key, name, content)
                        self._insert("arrays", [run.key, name, content, checksum])

    def forget(self, keys: Collection[str], setups: Collection[str]) -> None:
        """Delete runs, and those of the setups that are left without one."""
        with self.transaction():
            self._delete("runs", "key", keys)
            self._delete("setups", "id", filter(self._has_no_runs, setups))

    def check(self) -> None:
        """SQLite's own look at all of the file."""
        with self.told():
            first = self.db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            foreign = self.db.execute("PRAGMA foreign_key_check").fetchall()
            self.check_that(first == "ok" and not foreign, "pages")

    def _open(self, write: bool, mode: str) -> None:
        uri = f"{self.path.resolve().as_uri()}?{mode}"
        self.db = sqlite3.connect(uri, uri=True, timeout=WAIT, isolation_level=None)
        try:
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON"):
                self.db.execute(f"PRAGMA {pragma}")
            self.db.execute(f"PRAGMA {'foreign_keys' if write else 'query_only'}=ON")
            if write:
                self._create()
            else:
                self.db.execute("BEGIN")  # to see it as it is now until the end
            self._check_tables()
        except BaseException:
            self.db.close()
            raise

    def _create(self) -> None:
        """The tables, where there are none yet, and how it writes."""
        if not self.db.execute("PRAGMA page_count").fetchone()[0]:
            self.db.execute("PRAGMA synchronous=OFF")  # a new file has nothing to lose
        with self.transaction():
            if not self.db.execute("PRAGMA application_id").fetchone()[0]:
                for name in TABLES:
                    self.db.execute(_made(name))
                self.db.execute(f"PRAGMA application_id={APPLICATION}")
                self.db.execute(f"PRAGMA user_version={FORMAT}")
        # WAL lets others read while one writes, and waits less for the disk.
        mode = "DELETE" if _on_network(self.path) else "WAL"
        with suppress(sqlite3.OperationalError):  # others are at it: it stays as it is
            self.journal = self.db.execute(f"PRAGMA journal_mode={mode}").fetchone()[0]
        safe = "NORMAL" if self.journal == "wal" else "FULL"
        self.db.execute(f"PRAGMA synchronous={safe}")

    def _check_tables(self) -> None:
        """They are as they were made, and nothing runs when they are written."""
        schema = self.db.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
        made = {name: sql for kind, name, sql in schema if kind == "table"}
        same = [made.get(name, "").startswith(_made(name)[:-1]) for name in TABLES]
        self.check_that(all(same), "tables")
        self.check_that("trigger" not in {kind for kind, *_ in schema}, "tables")

    def _rows(
        self, table: str, keys: Sequence[str] | None
    ) -> Iterator[tuple[Any, ...]]:
        if keys is None:
            found = 0
            for row in self.db.execute(f"SELECT * FROM {table}"):
                found += 1
                yield row
            # A damaged page may hide rows, whose keys are in the index still.
            counted = (
                f"SELECT count(*) FROM {table} INDEXED BY sqlite_autoindex_{table}_1"
            )
            there = self.db.execute(counted).fetchone()[0]
            self.check_that(found == there, table)
            return
        for at in range(0, len(keys), AT_ONCE):
            part = keys[at : at + AT_ONCE]
            marks = ", ".join("?" * len(part))
            query = f"SELECT * FROM {table} WHERE key IN ({marks})"
            yield from self.db.execute(query, part)

    def _insert(
        self, table: str, row: Sequence[Any], columns: Sequence[str] = ()
    ) -> bool:
        """Whether it was not there yet."""
        names = f"({', '.join(map(_quoted, columns))})" if columns else ""
        marks = ", ".join("?" * len(row))
        query = f"INSERT OR IGNORE INTO {table}{names} VALUES ({marks})"
        return self.db.execute(query, row).rowcount > 0

    def _columns(self) -> list[str]:
        """Of the runs: first `RUN` and the checksum, then all metrics."""
        return [row[1] for row in self.db.execute("PRAGMA table_info(runs)")]

    def _add_columns(self, metrics: Iterable[str]) -> None:
        there = self._columns()
        for name in dict.fromkeys(metrics):
            if name not in there:  # without a type, which would lose -0.0
                self.db.execute(f"ALTER TABLE runs ADD COLUMN {_quoted(name)}")

    def _delete(self, table: str, column: str, values: Iterable[str]) -> None:
        query = f"DELETE FROM {table} WHERE {column} = ?"
        self.db.executemany(query, ([value] for value in values))

    def _has_no_runs(self, setup: str) -> bool:
        query = "SELECT 1 FROM runs WHERE setup = ? LIMIT 1"
        return not self.db.execute(query, [setup]).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Others wait while this one writes; all of it is there in the end, or none."""
        with self.told():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever goes wrong with the file is a `StoreError`."""
        try:
            yield
        except StoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"store {self.path}: {error}.") from error
        except DAMAGE:
            self.check_that(False, "rows")

    def check_that(self, right: bool, what: str) -> None:
        """Refuse a file that is not as it was written."""
        if not right:
            raise StoreError(
                f"store {self.path}: its {what} are damaged; take a copy of it from "
                "before, or another file."
            )


@lru_cache(maxsize=1024)  # many runs have the same
def _loaded(text: str) -> Any:
    return json.loads(text)


def _made(table: str) -> str:
    return f"CREATE TABLE {table} ({TABLES[table]})"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _of_run(first: Sequence[Any], metrics: Sequence[float]) -> str:
    hashed = blake2b("\n".join(map(str, first)).encode(), digest_size=16)
    hashed.update(array("d", metrics))
    return hashed.hexdigest()


def _of_bytes(key: str, name: str, content: bytes) -> str:
    hashed = blake2b(f"{key} {name} ".encode(), digest_size=16)
    hashed.update(content)
    return hashed.hexdigest()


def _check_header(path: Path, new: bool) -> None:
    """Refuse what is no store of ours before SQLite opens it, as that may write."""
    if path.exists() and not path.is_file():
        raise StoreError(f"store {path}: must be a file, got a folder or device.")
    if not path.exists():
        if not new:
            raise StoreError(f"store {path}: there is no such file.")
        if not path.parent.is_dir():
            raise StoreError(f"store {path}: there is no folder {path.parent}.")
        return
    with path.open("rb") as file:
        head = file.read(100)
    if new and not head:
        return
    version, application = (int.from_bytes(head[at : at + 4]) for at in (60, 68))
    if head[:16] != MAGIC or application != APPLICATION:
        raise StoreError(
            f"store {path}: is a file of something else and stays as it is; give "
            "another path. A table of runs is read by pandas."
        )
    if version != FORMAT:
        raise StoreError(
            f"store {path}: has format {version}, and this version of jaxnoise reads "
            f"{FORMAT}; use the version that wrote it, or another file."
        )


def _on_network(path: Path) -> bool:
    import psutil

    kinds = {each.mountpoint: each.fstype for each in psutil.disk_partitions(all=True)}
    folders = map(str, path.resolve().parents)
    kind = next((kinds[folder] for folder in folders if folder in kinds), "")
    return kind in NETWORKS
