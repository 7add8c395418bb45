"""The answers about stored templates; a part of `service.Control`."""

from collections.abc import Awaitable, Callable
from typing import Any

from ekiden.control import template_requests as asked
from ekiden.templates.library import Library
from ekiden.templates.model import StoredTemplate, TemplateFacts, parse_reference


class TemplateAnswers:
    """Answers what `template_requests` asks.

    Args:
        library: The templates.
        clock: UNIX seconds.
    """

    def __init__(self, library: Library, *, clock: Callable[[], float]) -> None:
        self._library = library
        self._clock = clock

    def questions(self) -> dict[type, Callable[[Any], Awaitable[Any]]]:
        """Return what answers each question."""
        return {
            asked.ListTemplates: self._list,
            asked.ShowTemplate: self._show,
            asked.AddTemplate: self._add,
            asked.RemoveTemplate: self._remove,
        }

    async def _list(self, one: asked.ListTemplates) -> list[TemplateFacts]:
        if one.name:
            return await self._library.versions(one.name)
        return await self._library.names()

    async def _show(self, one: asked.ShowTemplate) -> StoredTemplate:
        return await self._library.find(parse_reference(one.reference))

    async def _add(self, one: asked.AddTemplate) -> TemplateFacts:
        return await self._library.add(
            one.name,
            one.text,
            at=self._clock(),
            note=one.note,
            configuration_set=one.configuration_set,
        )

    async def _remove(self, one: asked.RemoveTemplate) -> int:
        return await self._library.remove(parse_reference(one.reference), at=self._clock())
