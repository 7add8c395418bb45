"""A job's messages before it is sent: made, looked at, judged, pictured."""
