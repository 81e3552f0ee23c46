"""The shared store of a site: its port, its etcd and in-memory implementations, and the election of a leader."""
