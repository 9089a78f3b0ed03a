"""What the plugin for pytest does when it is used; `memlens.integrations.pytest` is its entry."""
