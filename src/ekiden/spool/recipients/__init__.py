"""A recipients file or list -> batches of checked recipients and refused rows. Pure.

A wrong row is refused by number and reason and never stops the job; a wrong file (no address
column, two columns of one name, a field that a template needs and no column has) is a `JobError`
before the first recipient.

    octets ── decoding ──► text ──┬── csvrows ──► table  (header: what each column is)  ──┐
                                  └── lines ────► objects ◄── an inline job's list        ├──► Batch
                                                     forbidden: what no message may hold ─┘

Memory is bounded by the block that is read at once, whatever the file's size.
"""

from ekiden.spool.recipients.files import read_recipients
from ekiden.spool.recipients.lines import read_lines
from ekiden.spool.recipients.model import Batch, Plan
from ekiden.spool.recipients.objects import read_list
from ekiden.spool.recipients.table import read_table

__all__ = ["Batch", "Plan", "read_lines", "read_list", "read_recipients", "read_table"]
