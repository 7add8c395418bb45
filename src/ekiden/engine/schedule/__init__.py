"""The scheduler's parts; `engine/scheduler.py` is their face. All pure."""
