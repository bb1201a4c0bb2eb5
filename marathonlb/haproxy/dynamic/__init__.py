"""Changes through the runtime API: servers, maps and backends of a running worker."""
