"""The adapters that fill the `Store` and `Blobs` ports: embedded (SQLite, a folder) and Google Cloud's."""
