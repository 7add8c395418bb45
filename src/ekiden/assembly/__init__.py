"""The daemon put together: groups of parts, each made with those before it.

```
base ──► events ──► delivery ──► duties ──► web ──► receiving ──► live ──► spooling
```

A group knows those to its left. The one arrow back is `Delivery.listeners`: the duties steer the
engine, and hear from it what attempts came to. `app` makes the groups, runs them and ends them;
`reload` gives each its part of a new configuration.
"""
