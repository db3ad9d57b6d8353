"""Which path is answered by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from tabvault.faces.server.authentication import FailureLines
from tabvault.faces.server.health import healthz, readyz
from tabvault.faces.server.link import link
from tabvault.faces.server.management.interface import management_routes
from tabvault.faces.server.metrics import CountedRequests, Metrics, metrics
from tabvault.faces.server.rest.routes import rest_routes
from tabvault.faces.server.storage_turns import StorageTurns
from tabvault.faces.server.turns import COMMAND_THREAD_COUNT, QUESTION_THREAD_COUNT, Turns
from tabvault.faces.server.xmla.endpoint import xmla

if TYPE_CHECKING:
    from tabvault.faces.server.service import Service


def create_application(service: Service) -> Starlette:
    """The web application of *service*, which the caller closes."""
    question_turns = Turns(QUESTION_THREAD_COUNT)
    counted = Metrics(service, question_turns)
    application = Starlette(
        routes=[
            Route("/xmla", xmla, methods=["POST"]),
            Route("/healthz", healthz, methods=["GET"]),
            Route("/readyz", readyz, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/link/{alias}", link, methods=["GET"]),
            *rest_routes(),
            *management_routes(service),
        ],
        middleware=[Middleware(CountedRequests, counted)],
    )
    application.state.service = service
    application.state.metrics = counted
    application.state.failure_lines = {True: FailureLines(), False: FailureLines()}
    application.state.storage_turns = StorageTurns()
    application.state.question_turns = question_turns
    application.state.command_turns = Turns(COMMAND_THREAD_COUNT)
    return application
