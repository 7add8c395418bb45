"""The one database: connection, single writer, group commit, migrations."""
