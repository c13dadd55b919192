"""The stage of these tests; see `client_stage`."""

from client_stage import _no_token, client, desk, make_client, pauses, platform

__all__ = ["_no_token", "client", "desk", "make_client", "pauses", "platform"]
