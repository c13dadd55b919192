"""The stage of these tests; see `client_stage`."""

from client_stage import _no_token, client, desk, make_client, pauses, platform
from hypothesis import settings

__all__ = ["_no_token", "client", "desk", "make_client", "pauses", "platform"]

# The same examples each time, however slow the machine.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
