"""The tables of ``state.db``: one place for every name that SQL uses. Imports nothing.

Each migration takes the database from one ``user_version`` to the next. Those that were released are never
edited, only followed by others.
"""

DATABASE = "state.db"
CERTIFICATES = "certs"
CONTEXT_NOTES = "context:"  # how the names of notes begin that tell of docker contexts, by the machine's id
SSH_FILES = "ssh"  # the folder of configurations for the system's ssh

# "pyma" in ASCII: tells a store from any other SQLite file (``PRAGMA application_id``).
APPLICATION_ID = 0x70796D61

_FIRST = (
    """
    CREATE TABLE machine (
        name     TEXT PRIMARY KEY COLLATE NOCASE,
        id       TEXT NOT NULL,
        driver   TEXT NOT NULL,
        phase    TEXT NOT NULL,
        rev      INTEGER NOT NULL,
        document TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE secret (
        machine TEXT NOT NULL COLLATE NOCASE REFERENCES machine (name) ON DELETE CASCADE,
        file    TEXT NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (machine, file)
    ) WITHOUT ROWID
    """,
    # No reference to machine: a create holds its lease before it saves the first record.
    """
    CREATE TABLE lease (
        name      TEXT PRIMARY KEY COLLATE NOCASE,
        token     TEXT NOT NULL,
        purpose   TEXT NOT NULL,
        user      TEXT NOT NULL,
        host      TEXT NOT NULL,
        host_id   TEXT NOT NULL,
        boot      TEXT NOT NULL,
        namespace TEXT NOT NULL,
        pid       INTEGER NOT NULL,
        started   TEXT NOT NULL,
        since     REAL NOT NULL,
        until     REAL NOT NULL
    ) WITHOUT ROWID
    """,
    # No reference to machine either: the journal tells of machines that are gone.
    """
    CREATE TABLE operation (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        machine_id TEXT NOT NULL,
        machine    TEXT NOT NULL COLLATE NOCASE,
        kind       TEXT NOT NULL,
        step       TEXT NOT NULL,
        begun      TEXT NOT NULL,
        changed    TEXT NOT NULL,
        outcome    TEXT,
        message    TEXT NOT NULL,
        payload    TEXT NOT NULL
    )
    """,
    "CREATE INDEX operation_unfinished ON operation (machine) WHERE outcome IS NULL",
)

# Who a store is, for what its machines leave with cloud providers and libvirt: a random name that nobody chooses.
_IDENTITY = (
    "CREATE TABLE identity (value TEXT NOT NULL)",
    "INSERT INTO identity VALUES (lower(hex(randomblob(16))))",
)

# What is remembered of no single machine: documents by a name of their own (``fleet:shop``).
_NOTES = ("CREATE TABLE note (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID",)

# What a driver reports of a machine's addresses was called ``told``. A document that is not JSON stays as it is.
_REPORTED = (
    """
    UPDATE machine
    SET document = json_set(
        json_remove(document, '$.told'), '$.reported_addresses', json_extract(document, '$.told')
    )
    WHERE CASE WHEN json_valid(document) THEN json_type(document, '$.told') END IS NOT NULL
    """,
)

MIGRATIONS = (_FIRST, _IDENTITY, _NOTES, _REPORTED)

DOCUMENT_OF = "SELECT document FROM machine WHERE name = ?"
NAMES = "SELECT name FROM machine"
NOTED = "SELECT name FROM note WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name"
IDENTITY = "SELECT value FROM identity"
SECRETS_OF = "SELECT file FROM secret WHERE machine = ?"
