"""When it will be done: the engine's own scheduler, run ahead on a virtual clock."""
