"""Parts of the benchmark of the serving path: a load of requests, and a bare server to compare with."""
