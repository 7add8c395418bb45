"""What can be asked about stored templates; see `requests`."""

from typing import Any, ClassVar

from ekiden.control.requests import Question
from ekiden.templates.model import StoredTemplate, TemplateFacts, TemplateText


class ListTemplates(Question[list[TemplateFacts]], frozen=True):
    """The newest version of every template; with a name, all versions of that one."""

    method: ClassVar[str] = "templates"
    name: str = ""


class ShowTemplate(Question[StoredTemplate], frozen=True):
    """A version: `name` is the newest one, `name@3` that one."""

    method: ClassVar[str] = "template.show"
    reference: str


class AddTemplate(Question[TemplateFacts], frozen=True):
    """Store a version; what the newest one says already makes no new one."""

    method: ClassVar[str] = "template.add"
    name: str
    text: TemplateText
    note: str = ""
    configuration_set: str = ""


class RemoveTemplate(Question[int], frozen=True):
    """Remove a version, or all of them; answers how many went."""

    method: ClassVar[str] = "template.remove"
    reference: str


TEMPLATE_REQUESTS: dict[str, type[Any]] = {
    kind.method: kind for kind in (ListTemplates, ShowTemplate, AddTemplate, RemoveTemplate)
}
