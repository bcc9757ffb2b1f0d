"""The description of the API as a judge of what is really answered."""

import json
from copy import deepcopy
from typing import Any

from aiohttp import web
from jsonschema import Draft202012Validator

from bot.faces.web.answers import Health, Refusal
from bot.faces.web.openapi import ANSWERS, components, reference
from tests.json_schemas import close_objects

DOCUMENT = {"components": {"schemas": deepcopy(components())}}
close_objects(DOCUMENT)


class Judge:
    """Notes every answer in JSON that is not of the shape that is described."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    async def look_at(self, request: web.Request, response: web.StreamResponse) -> None:
        """Look at an answer before it is sent."""
        is_json = response.content_type == "application/json"
        if not is_json or not isinstance(response, web.Response) or not response.text:
            return
        shape = ANSWERS.get(request.match_info.handler)
        if response.status >= 400 and shape is not Health:
            shape = Refusal
        if shape is not None:
            self.problems += [
                f"{request.method} {request.path}: {problem}"
                for problem in problems_of(json.loads(response.text), shape)
            ]


def problems_of(told: Any, shape: Any) -> list[str]:
    """What is wrong with a value of a shape, names that it does not know included."""
    judge = Draft202012Validator(DOCUMENT | reference(shape))
    return [f"{error.json_path}: {error.message}" for error in judge.iter_errors(told)]
