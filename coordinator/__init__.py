"""The elected daemon: it decides, publishes, and answers; on every node, leader or not, it serves the newest answer."""
