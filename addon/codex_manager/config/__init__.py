"""Where things live and how the program is set: paths, the validated schema, loading, editing, importing.

Nothing is re-exported here on purpose: `config.paths` is wanted by every command, pydantic (`config.schema`) by few.
"""
