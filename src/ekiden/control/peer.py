"""Who is on the other side of a Unix socket: the kernel's word, which no file mode can forge."""

import socket
import struct
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


def peer_uid(connection: socket.socket) -> int:
    """Return the user on the other side of a Unix socket, as the kernel recorded it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(raw)[1]
    return uid
