"""Who may read and write what in etcd: users, roles and grants, put right, and authentication switched on.

A client that shows a certificate is the user of its common name. No user has a password that anybody knows. This file
knows how etcd is told, and which part of a site's paths is whose; it does not know who shows which certificate.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cluster.etcd_members import Members
from cluster.etcd_rpc import RpcError, Status, auth_pb2, rpc_pb2
from cluster.etcd_watch import prefix_end
from cluster.timings import Timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cluster.etcd_access import Tls
    from cluster.etcd_rpc import Member
    from cluster.keys import Keys

ROOT = "root"
READ, WRITE = "READ", "WRITE"
_VERBS = {READ: "read", WRITE: "write", "READWRITE": "read and write"}
_PASSWORD_BYTES = 32
PATIENT = Timings(lease_ttl=60, agent_lease_ttl=60, attempt=5, call_deadline=15)
"""No lease depends on these calls, and to make a password's hash takes etcd a while."""


class Grant(NamedTuple):
    """The right to the keys from `start` up to and without `end`; b"" is `start` alone.

    `right` is READ or WRITE, and in roles that others made also READWRITE.
    """

    start: bytes
    end: bytes
    right: str


class Role(NamedTuple):
    """A user and its role of the same name, and all that it may do."""

    name: str
    grants: frozenset[Grant]


def agent_role(name: str, keys: Keys, node: str) -> Role:
    """An agent reads the whole site, and writes the two reports of its own node."""
    return Role(name, frozenset({_all(keys, READ), _one(keys.node(node)), _one(keys.last_seen(node))}))


def coordinator_role(name: str, keys: Keys) -> Role:
    """A coordinator reads the whole site, and writes all of it but the nodes' reports."""
    whole, gaps = _all(keys, WRITE), sorted((keys.lastseen, keys.nodes))
    starts = [whole.start, *map(prefix_end, gaps)]
    ends = [*(gap.encode() for gap in gaps), whole.end]
    written = (Grant(start, end, WRITE) for start, end in zip(starts, ends, strict=True))
    return Role(name, frozenset({_all(keys, READ), *written}))


def is_within(keys: Keys, grant: Grant) -> bool:
    """Whether it is a right to keys of this site only."""
    if not grant.end:
        return grant.start.startswith(keys.prefix.encode())
    return keys.prefix.encode() <= grant.start < grant.end <= prefix_end(keys.prefix)


@dataclass(frozen=True)
class Told:
    """What was changed, a sentence each; and the users and roles that are none of ours."""

    changes: tuple[str, ...]
    strangers: tuple[str, ...]


class EtcdRoles:
    """The users and roles of one etcd, changed by its `root` or, before authentication is on, by anybody.

    Raises:
        StoreError: from every method; etcd does not answer or refuses.
    """

    def __init__(self, endpoints: Sequence[str], tls: Tls, timings: Timings | None = None) -> None:
        self._members = Members(endpoints, timings or PATIENT, tls, None)
        self._changes: list[str] = []
        self._locked: set[str] = set()
        """Users whose password was made here, and nobody knows it."""

    async def put_right(self, roles: Sequence[Role], keys: Keys, former: Iterable[str]) -> Told:
        """Let there be these users with exactly these rights, and switch authentication on.

        `former`: how the names of roles begin that have to go, each with the user of its name, when they are not among
        these and all that they may do is within the site that `keys` are of. Others are left alone and told: they may
        be those of another site. After Unavailable it can be called again, and goes on; what it returns tells of all
        that was changed.
        """
        mine, on = {role.name for role in roles} | {ROOT}, await self._is_on()
        if not on:
            await self._lock(sorted(mine & await self._users()))
        await self._ensure_user(ROOT, await self._users())
        known = await self._roles()
        for role in roles:
            await self._ensure_role(role, known)
            await self._ensure_user(role.name, await self._users())
        users, known = await self._users(), await self._roles()
        gone = await self._within(keys, (name for name in known - mine if name.startswith(tuple(former))))
        for name in sorted(users & gone):
            await self._change(f"the user {name} is gone", "UserDelete", rpc_pb2.AuthUserDeleteRequest(name=name))
        for name in sorted(gone):
            await self._change(f"the role {name} is gone", "RoleDelete", rpc_pb2.AuthRoleDeleteRequest(role=name))
        if not on:
            await self._change("authentication is on", "AuthEnable", rpc_pb2.AuthEnableRequest())
        return Told(tuple(self._changes), tuple(sorted((users | known) - mine - gone)))

    async def close(self) -> None:
        """Close all connections."""
        await self._members.close()

    async def _lock(self, names: Iterable[str]) -> None:
        """Give users new passwords: while authentication is off anybody may have made them, with one to come back by.

        Where it is on nobody but root can have done so.
        """
        for name in names:
            if name not in self._locked:
                request = rpc_pb2.AuthUserChangePasswordRequest(name=name, password=_password())
                await self._change(f"{name} has a new password, which nobody knows", "UserChangePassword", request)
                self._locked.add(name)

    async def _within(self, keys: Keys, names: Iterable[str]) -> set[str]:
        """Return those roles that may do something within the site, and nothing elsewhere."""
        found = set()
        for name in names:
            grants = (await self._call("RoleGet", rpc_pb2.AuthRoleGetRequest(role=name))).perm
            if grants and all(is_within(keys, _grant(each)) for each in grants):
                found.add(name)
        return found

    async def _ensure_role(self, role: Role, known: set[str]) -> None:
        if role.name not in known:
            await self._change(f"the role {role.name} is new", "RoleAdd", rpc_pb2.AuthRoleAddRequest(name=role.name))
        answer = await self._call("RoleGet", rpc_pb2.AuthRoleGetRequest(role=role.name))
        there = {_grant(each) for each in answer.perm}
        for grant in sorted(role.grants):
            if grant not in there:
                what = f"{role.name} may {_words(grant)}"
                request = rpc_pb2.AuthRoleGrantPermissionRequest(name=role.name, perm=_permission(grant))
                await self._change(what, "RoleGrantPermission", request)
        ranges = {(grant.start, grant.end) for grant in role.grants}
        for grant in sorted(there):
            if (grant.start, grant.end) not in ranges:
                what = f"{role.name} may no longer {_words(grant)}"
                request = rpc_pb2.AuthRoleRevokePermissionRequest(role=role.name, key=grant.start, range_end=grant.end)
                await self._change(what, "RoleRevokePermission", request)

    async def _ensure_user(self, name: str, known: set[str]) -> None:
        """Let there be a user with the role of the same name and no other."""
        if name not in known:
            request = rpc_pb2.AuthUserAddRequest(name=name, password=_password())
            await self._change(f"the user {name} is new", "UserAdd", request)
            self._locked.add(name)
        answer = await self._call("UserGet", rpc_pb2.AuthUserGetRequest(name=name))
        if name not in answer.roles:
            request = rpc_pb2.AuthUserGrantRoleRequest(user=name, role=name)
            await self._change(f"{name} has its role", "UserGrantRole", request)
        for role in answer.roles:
            if role != name:
                request = rpc_pb2.AuthUserRevokeRoleRequest(name=name, role=role)
                await self._change(f"{name} has no longer the role {role}", "UserRevokeRole", request)

    async def _is_on(self) -> bool:
        """Ask with a password that is wrong: etcd says so where authentication is off. 3.4 has no other way to tell."""

        async def attempt(member: Member, limit: float) -> bool:
            request = rpc_pb2.AuthenticateRequest(name=ROOT, password="none")  # noqa: S106 - it shall be wrong
            try:
                await member.auth.Authenticate(request, timeout=limit)
            except RpcError as error:
                text = error.details() or ""
                if error.code() is Status.FAILED_PRECONDITION and "not enabled" in text:
                    return False
                if "authentication failed" not in text:
                    raise
            return True

        return await self._members.call(attempt)

    async def _users(self) -> set[str]:
        return set((await self._call("UserList", rpc_pb2.AuthUserListRequest())).users)

    async def _roles(self) -> set[str]:
        return set((await self._call("RoleList", rpc_pb2.AuthRoleListRequest())).roles)

    async def _change(self, what: str, method: str, request: Any) -> None:
        """Change something; asked once only, since what was done already would be refused."""
        await self._call(method, request, once=True)
        self._changes.append(what)

    async def _call(self, method: str, request: Any, *, once: bool = False) -> Any:
        async def attempt(member: Member, limit: float) -> Any:
            return await getattr(member.auth, method)(request, timeout=limit, metadata=member.metadata)

        return await self._members.call(attempt, once=once)


def _password() -> str:
    """Make one that is known to nobody; who shows a certificate needs none."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _all(keys: Keys, right: str) -> Grant:
    return Grant(keys.prefix.encode(), prefix_end(keys.prefix), right)


def _one(key: str) -> Grant:
    return Grant(key.encode(), b"", WRITE)


def _grant(permission: Any) -> Grant:
    return Grant(permission.key, permission.range_end, auth_pb2.Permission.Type.Name(permission.permType))


def _permission(grant: Grant) -> Any:
    right = auth_pb2.Permission.Type.Value(grant.right)
    return auth_pb2.Permission(permType=right, key=grant.start, range_end=grant.end)


def _words(grant: Grant) -> str:
    start, end = (key.decode(errors="backslashreplace") for key in (grant.start, grant.end))
    return f"{_VERBS[grant.right]} {start}" + (f" up to {end}" if end else "")
