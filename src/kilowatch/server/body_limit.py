"""How long a request's body may be, whether or not its head tells.

Keeps true that what is too long is refused in the shape of every refusal, and read no further.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kilowatch.errors import Problem
from kilowatch.server.problems import REQUEST_ID, problem_response


class BodyLimit:
    """Wraps an application; `most` in bytes."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        detail = f"The body of a request has at most {self._most} bytes."
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit() and int(declared[:20]) > self._most:
            problem = Problem(413, "too_large", detail)
            await problem_response(problem, str(scope.get(REQUEST_ID, "")))(scope, receive, send)
            return
        read = 0

        async def receive_some() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                # Of this kind, because what parses a body takes any other for a body that it cannot parse.
                raise HTTPException(413, detail)
            return message

        await self._app(scope, receive_some, send)
