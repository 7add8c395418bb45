"""The daemon's standing duties: each watches what happened and makes the engine follow.

```
results, replies, reports ──► a duty ──► scheduler, sources, jobs: what is held, slowed, let go
      queue ◄── memory, alerts ──┘
```

A duty decides nothing that a pure room can decide: `shaping` judges rates, ramps, reactions and
volumes, `check` judges the sender; a duty carries evidence there, and the judgement to the engine.
All of them are alike:

* `run()` works until cancelled, a round every few seconds, each a bounded piece of work.
* What it hears (`note`, `heard`, `blocked` ...) is taken on the event loop without waiting, since a
  delivery waits for it; what has to be written is written in the next round.
* A disk that refuses is told and tried again: a duty ends nobody's delivery. `destinations`
  and `preflight` depend on strangers, and hold to the same.
* What must outlive a restart is in the queue: read back at start (`recall`), written when it moves.
"""
