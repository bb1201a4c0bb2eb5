"""Pages, status and the event callback; they ask the reconciler, they never steer it."""
